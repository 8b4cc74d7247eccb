// Runs the audits of GraphQL over HTTP against a server: node audit.mjs <url> <key>. Prints one JSON list.
import { auditServer } from "graphql-http";

const [url, key] = process.argv.slice(2);
const results = await auditServer({
  url,
  fetchFn: (target, options = {}) =>
    fetch(target, { ...options, headers: { ...options.headers, authorization: `Bearer ${key}` } }),
});
console.log(JSON.stringify(results.map(({ id, name, status, reason }) => ({ id, name, status, reason }))));
