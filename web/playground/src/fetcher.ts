import type { Fetcher, FetcherParams } from "@graphiql/toolkit";
import { type ExecutionResult, OperationTypeNode, getOperationAST, parse } from "graphql";
import { createClient } from "graphql-ws";

const PATH = "/graphql";
const FORBIDDEN = 4403;

const socketScheme = window.location.protocol === "https:" ? "wss:" : "ws:";
const socket = createClient({
  url: `${socketScheme}//${window.location.host}${PATH}`,
  shouldRetry: (end) => end instanceof CloseEvent && end.code !== FORBIDDEN,
});

/** Queries and mutations by HTTP, subscriptions by WebSocket; the session's cookie goes along with both. */
export const fetcher: Fetcher = (operation) =>
  isSubscription(operation) ? watch(operation) : ask(operation);

// GraphiQL's own fetcher goes by the document that the editor parsed last, which may be the one before.
function isSubscription({ query, operationName }: FetcherParams): boolean {
  try {
    const operation = getOperationAST(parse(query), operationName ?? null);
    return operation?.operation === OperationTypeNode.SUBSCRIPTION;
  } catch {
    return false;
  }
}

async function ask(operation: FetcherParams): Promise<ExecutionResult> {
  const answer = await fetch(PATH, {
    method: "POST",
    headers: { Accept: "application/json", "Content-Type": "application/json" },
    body: JSON.stringify(operation),
  });
  if (answer.status === 401) {
    // The page itself says that the session has ended, and how to sign in again.
    window.location.reload();
  }
  return (await answer.json()) as ExecutionResult;
}

async function* watch({ query, operationName, variables }: FetcherParams): AsyncGenerator<ExecutionResult> {
  try {
    for await (const result of socket.iterate({ query, operationName, variables })) {
      // GraphiQL's types ask for graphql-js's class of errors; it shows what came as it came.
      yield result as ExecutionResult;
    }
  } catch (end) {
    throw end instanceof CloseEvent ? new Error(end.reason || "The connection was closed.") : end;
  }
}
