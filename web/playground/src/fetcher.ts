import type { Fetcher, FetcherParams } from "@graphiql/toolkit";
import { type ExecutionResult, Kind, type OperationDefinitionNode, OperationTypeNode, parse } from "graphql";
import { createClient } from "graphql-ws";

const PATH = "/graphql";
const FORBIDDEN = 4403;

const socketScheme = window.location.protocol === "https:" ? "wss:" : "ws:";
const socket = createClient({
  url: `${socketScheme}//${window.location.host}${PATH}`,
  shouldRetry: (end) => end instanceof CloseEvent && end.code !== FORBIDDEN,
});

/** Queries and mutations by HTTP, subscriptions by WebSocket; the session's cookie goes along with both. */
export const fetcher: Fetcher = (asked) => {
  const operation = withItsOwnName(asked);
  return isSubscription(operation) ? watch(operation) : ask(operation);
};

// GraphiQL goes by the document that the editor parsed last, which may be the one before: so the name may be
// that of an operation which is not there any more, and the kind of operation that of another.
function withItsOwnName(asked: FetcherParams): FetcherParams {
  const names = operationsOf(asked.query).map((operation) => operation.name?.value);
  const isThere = names.length === 0 || names.includes(asked.operationName ?? undefined);
  return isThere ? asked : { ...asked, operationName: names[0] ?? null };
}

function isSubscription({ query, operationName }: FetcherParams): boolean {
  const operation = operationsOf(query).find(({ name }) => name?.value === (operationName ?? undefined));
  return operation?.operation === OperationTypeNode.SUBSCRIPTION;
}

function operationsOf(query: string): OperationDefinitionNode[] {
  try {
    return parse(query).definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  } catch {
    // The server says what is wrong with it.
    return [];
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
