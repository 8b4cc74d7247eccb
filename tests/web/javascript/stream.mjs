// Subscribes by graphql-sse and by Apollo's multipart link: node stream.mjs <url> <key> <query>.
// Prints {events: [...], parts: [...]}, the results of each.
import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { createClient } from "graphql-sse";

const [url, key, query] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${key}` };

const events = [];
const sse = createClient({ url, headers, retryAttempts: 0 });
for await (const result of sse.iterate({ query })) {
  events.push(result);
}
sse.dispose();

const apollo = new ApolloClient({ link: new HttpLink({ uri: url, headers }), cache: new InMemoryCache() });
const parts = [];
await new Promise((resolve, reject) => {
  apollo.subscribe({ query: gql(query) }).subscribe({
    next: (result) => parts.push(result),
    error: reject,
    complete: resolve,
  });
});
console.log(JSON.stringify({ events, parts }));
