import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// web/playground/__init__.py serves what is built here under this path.
export default defineConfig({
  base: "/playground/",
  plugins: [react()],
  worker: { format: "es" },
  build: {
    // Monaco and its workers are large whatever we do; they are kept by browsers for a year.
    chunkSizeWarningLimit: 8192,
    // The policy of the page lets scripts come from files alone.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      onLog(level, log, report) {
        // GraphiQL's files carry marks for the React compiler, which say nothing to a bundler.
        if (log.code !== "MODULE_LEVEL_DIRECTIVE") {
          report(level, log);
        }
      },
    },
  },
});
