/** For tests: `bun rehearsal.ts PLAY`, a supervisor as a process of its own, to be killed. Tells its events on stdout. */
import { systemClock } from "../std/clock.ts";
import type { SupervisorEvent } from "./event.ts";
import { openProcesses } from "./process.ts";
import { startSupervisor } from "./supervisor.ts";
import type { Play } from "./yard.ts";

const play: Play = JSON.parse(process.argv[2] ?? "{}");
const tell = (event: SupervisorEvent) => process.stdout.write(`${JSON.stringify(event)}\n`);
const processes = openProcesses({ stateDir: play.stateDir, clock: systemClock, onEvent: tell });
await processes.stopPhantoms(play.children.map(({ id }) => id));
const supervisor = await startSupervisor(
  {
    id: "rehearsal",
    intensity: { restarts: 100, periodMs: 1_000 },
    children: play.children.map((options) => processes.child(options)),
  },
  { onEvent: tell },
);
process.on("SIGTERM", () => supervisor.stop());
process.stdout.write("ready\n");
await supervisor.exited;
processes[Symbol.dispose]();
process.exit(0);
