/** `router idle`: what memory clients cost that keep their connection and ask for nothing, after one request each. */
import type { Held } from "./idle-client.ts";
import { onCore } from "./process.ts";
import { loadCore, readRssMib, round, startSession } from "./session.ts";
import { toTable } from "./table.ts";

const names = ["nginx", "nines"];
/** One process may seldom have more than 20,000 descriptors, and a proxy under test less than that of its own. */
const connections = 10_000;
const settleMs = 3_000;

export async function benchIdle(): Promise<void> {
  await using session = await startSession({ names, instances: 8 });
  const rows: { name: string; version: string; emptyMib: number; heldMib: number }[] = [];
  for (const { name, version, port, pid } of session.all) {
    const emptyMib = readRssMib(pid);
    const command = ["bin/bun", "bench/idle-client.ts", JSON.stringify({ port, connections })];
    const client = Bun.spawn(onCore(loadCore, command), { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
    const said = await client.stdout.getReader().read();
    const { open, answered } = JSON.parse(new TextDecoder().decode(said.value)) as Held;
    if (answered !== connections || open !== connections)
      throw new Error(`${name}: ${open} open, ${answered} answered`);
    await Bun.sleep(settleMs);
    rows.push({ name, version, emptyMib, heldMib: readRssMib(pid) });
    client.kill("SIGKILL");
    await client.exited;
  }
  console.log(
    toTable(
      ["proxy", "version", "empty MiB", `${connections} idle clients, MiB`, "KiB each"],
      rows.map(({ name, version, emptyMib, heldMib }) => [
        name,
        version,
        emptyMib.toFixed(0),
        heldMib.toFixed(0),
        (((heldMib - emptyMib) * 1_024) / connections).toFixed(1),
      ]),
    ),
  );
  console.log(
    JSON.stringify({
      bench: "router idle",
      connections,
      rss: Object.fromEntries(
        rows.map(({ name, version, emptyMib, heldMib }) => [
          name,
          { version, empty_mib: round(emptyMib), held_mib: round(heldMib) },
        ]),
      ),
    }),
  );
}
