import { GraphiQL } from "graphiql";

import { examples } from "./examples";
import { fetcher } from "./fetcher";

/** GraphiQL on this server's API, in the name of the key that the browser is signed in with. */
export function Playground() {
  return (
    <GraphiQL
      fetcher={fetcher}
      defaultTabs={examples}
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
