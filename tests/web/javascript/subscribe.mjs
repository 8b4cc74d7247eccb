// Runs one operation by graphql-ws: node subscribe.mjs <url> <key> <query>. Prints one JSON list of the results.
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, key, query] = process.argv.slice(2);
const client = createClient({
  url,
  webSocketImpl: WebSocket,
  retryAttempts: 0,
  connectionParams: { Authorization: `Bearer ${key}` },
});
const results = [];
for await (const result of client.iterate({ query })) {
  results.push(result);
}
await client.dispose();
console.log(JSON.stringify(results));
