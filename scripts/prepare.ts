/** After `npm ci`: what the first start would have to wait for. Whatever goes wrong here is done by that start. */
import { makeTemplate } from "../src/platform/postgres-template.ts";
import { toError } from "../src/std/errors.ts";

await makeTemplate().catch((error: unknown) => {
  console.error(
    `nines: no database cluster was prepared, the first start makes it: ${toError(error).message}`,
  );
});
