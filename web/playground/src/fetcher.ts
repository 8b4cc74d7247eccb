import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { createClient } from "graphql-ws";

const path = "/graphql";
const socketScheme = window.location.protocol === "https:" ? "wss:" : "ws:";

/** Queries and mutations by HTTP, subscriptions by WebSocket; the session's cookie goes along with both. */
export const fetcher = createGraphiQLFetcher({
  url: path,
  wsClient: createClient({ url: `${socketScheme}//${window.location.host}${path}` }),
});
