import createSandbox from "./create-sandbox.graphql?raw";
import files from "./files.graphql?raw";
import run from "./run.graphql?raw";
import sandboxes from "./sandboxes.graphql?raw";
import watch from "./watch.graphql?raw";

/** The tabs that a first visit opens, in the order of a first session. */
export const examples = [
  {
    query: createSandbox,
    variables: JSON.stringify({ input: { name: "first", ttlSeconds: 1800 } }, null, 2),
  },
  {
    query: run,
    variables: JSON.stringify(
      {
        input: {
          sandboxId: "the id from the first tab",
          command: 'for i in $(seq 1 30); do echo "line $i"; sleep 1; done',
        },
      },
      null,
      2,
    ),
  },
  {
    query: watch,
    variables: JSON.stringify({ executionId: "the id from the second tab" }, null, 2),
  },
  { query: files, variables: JSON.stringify({ sandboxId: "the id from the first tab" }, null, 2) },
  { query: sandboxes, variables: "" },
] as const;
