/** Runs a small tool of the system to its end. */
import { NinesError } from "../std/errors.ts";
import type { Owner } from "./owner.ts";

/** Rejects with what the tool said when it fails. */
export async function execute(argv: readonly string[], cwd: string, owner: Owner | undefined): Promise<void> {
  const options = {
    cwd,
    stdio: ["ignore", "ignore", "pipe"],
    ...(owner === undefined ? {} : { uid: owner.uid, gid: owner.gid }),
  };
  const child = Bun.spawn([...argv], options as Parameters<typeof Bun.spawn>[1]);
  const said = await new Response(child.stderr as ReadableStream).text();
  if ((await child.exited) !== 0) {
    throw new NinesError("unavailable", `${argv[0]}: ${said.trim().split("\n")[0] || "failed"}`, {
      blame: "platform",
    });
  }
}
