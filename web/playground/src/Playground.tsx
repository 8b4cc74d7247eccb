import { GraphiQL } from "graphiql";

import { examples } from "./examples";
import { fetcher } from "./fetcher";

const isFirstVisit = window.localStorage.getItem("graphiql:tabState") === null;
// GraphiQL takes no variables from the first of the default tabs; it takes them from here.
const [firstExample] = examples;
const initial = isFirstVisit
  ? { initialQuery: firstExample.query, initialVariables: firstExample.variables }
  : {};

/** GraphiQL on this server's API, in the name of the key that the browser is signed in with. */
export function Playground() {
  return (
    <GraphiQL
      {...initial}
      fetcher={fetcher}
      defaultTabs={[...examples]}
      defaultEditorToolsVisibility="variables"
      isHeadersEditorEnabled={false}
    >
      <GraphiQL.Logo>
        CommandCenter
        <form className="sign-out" method="post" action="/sign-out">
          <button type="submit">Sign out</button>
        </form>
      </GraphiQL.Logo>
    </GraphiQL>
  );
}
