/** An app that evaluates a flag for each request, by the SDK; bundled by the test, as packing is for releases. */
import { createServer } from "node:http";
import { connect } from "../../src/sdk/sdk.ts";

const nines = await connect();
createServer((request, response) => {
  const url = new URL(request.url ?? "/", "http://app");
  if (url.pathname === "/env") {
    const names = ["OFREP_ENDPOINT", "OFREP_HEADERS", "FLAGD_RESOLVER", "FLAGD_OFFLINE_FLAG_SOURCE_PATH"];
    response.end(JSON.stringify(Object.fromEntries(names.map((name) => [name, process.env[name]]))));
    return;
  }
  const targetingKey = url.searchParams.get("user") ?? "";
  const value = nines.flags.boolean(url.pathname.slice(1), false, { targetingKey });
  response.end(JSON.stringify({ value, version: nines.flags.version }));
}).listen(Number(process.env.PORT));
