// Uses the playground as a person does: node playground.mjs <sign-in link> <query> <subscription>.
// Prints {signedInAt, tabs, firstVariables, query, subscription: [each text shown], problems, foreign}.
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";

import chromium from "@sparticuz/chromium";
import { chromium as browsers } from "playwright-core";

const [link, query, subscription] = process.argv.slice(2);
const installed = ["/usr/bin/chromium", "/usr/bin/google-chrome"].find((path) => existsSync(path));
const browser = await browsers.launch({
  executablePath: installed ?? (await unpackedBrowser()),
  args: installed ? ["--no-sandbox"] : chromium.args,
  headless: true,
});
const problems = [];
const foreign = [];
try {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 } });
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && url.origin !== new URL(link).origin) foreign.push(request.url());
  });

  await page.goto(link);
  await page.waitForURL("**/graphql");
  await page.locator(".graphiql-query-editor .monaco-editor").waitFor();
  const signedInAt = page.url();

  const variables = page.locator(".graphiql-editor-tool .view-lines").first();
  await page.waitForFunction(() => document.querySelectorAll(".graphiql-tab").length > 0);
  const tabs = await page.locator(".graphiql-tab").allInnerTexts();
  await variables.filter({ hasText: /\S/ }).waitFor();
  const firstVariables = await variables.innerText();

  const editor = page.locator(".graphiql-query-editor .view-lines");
  const answer = page.locator(".graphiql-response .view-lines");
  const shown = async () => (await answer.innerText()).replaceAll(" ", " ");
  const write = async (text) => {
    await editor.click();
    await page.keyboard.press("Control+A");
    await page.keyboard.press("Delete");
    await page.keyboard.insertText(text);
  };
  const run = page.locator(".graphiql-execute-button");

  await write(query);
  await run.click();
  await page.waitForFunction(() =>
    document.querySelector(".graphiql-response .view-lines")?.textContent.includes("data"),
  );
  const first = await shown();

  await write(subscription);
  await run.click();
  const seen = [];
  const until = Date.now() + 60_000;
  while (Date.now() < until && seen.length < 3) {
    const text = await shown();
    if (text !== first && text !== seen.at(-1) && text.includes("data")) seen.push(text);
    await page.waitForTimeout(50);
  }
  console.log(JSON.stringify({ signedInAt, tabs, firstVariables, query: first, subscription: seen, problems, foreign }));
} finally {
  await browser.close();
}

// The package unpacks its browser into the temporary folder by a name that all users share, and whoever came
// first owns it: give it a folder of this working copy.
async function unpackedBrowser() {
  const before = process.env.TMPDIR;
  process.env.TMPDIR = join(import.meta.dirname, "node_modules", ".browser");
  mkdirSync(process.env.TMPDIR, { recursive: true });
  try {
    return await chromium.executablePath();
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
}
