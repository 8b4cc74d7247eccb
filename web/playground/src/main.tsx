import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "./main.css";

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { Playground } from "./Playground";

const root = document.getElementById("root");
if (root === null) {
  throw new Error("index.html lacks the element #root.");
}
createRoot(root).render(
  <StrictMode>
    <Playground />
  </StrictMode>,
);
