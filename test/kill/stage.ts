/** The stage of the killing scenarios: a platform with a guard, an app of four, steady load, a ledger of its POSTs. */
import { chmodSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Load, type Summary, startLoad } from "../../src/drill/load/load.ts";
import { look, type Scene } from "../../src/drill/victims.ts";
import { writeApp } from "../apps.ts";
import { type Platform, startPlatform, until } from "../harness.ts";

export const app = "shop";
/** web=4, worker=1 */
const wanted = 5;
const wholeTimeoutMs = 120_000;
/** After a change the agent makes working directories ahead; a kill before that measures their copying. */
const steadyMs = 1_500;
/** A kernel that dies younger is started again with a pause. */
const restMs = 1_500;

export interface Stage extends AsyncDisposable {
  readonly platform: Platform;
  readonly load: Load;
  /** All there is, once everything is whole, and those that were killed are replaced. */
  whole(killed?: readonly number[]): Promise<Scene>;
  /**
   * The same, with everybody rested, so that each kill is the first one: after a manual restart where an instance
   * has crashed before, which ends its cool-off, and with a kernel that is old enough for the heart to trust it.
   */
  rested(): Promise<Scene>;
  /** What the load saw since the last take. */
  take(): Promise<Summary>;
  /** Problems of the ledger, after all load has ended: a POST that ran twice, or was answered and never ran. */
  audit(): Promise<readonly string[]>;
}

export async function setStage(rate: number): Promise<Stage> {
  const platform = await startPlatform({ guard: true });
  const ledger = join(platform.folder, "ledger");
  mkdirSync(ledger);
  chmodSync(ledger, 0o1777);
  const source = writeApp(platform.fixture("shop"), { "ledger.txt": ledger });
  const posted: string[] = [];
  try {
    await platform.must("deploy", source, "-a", app);
    await platform.must("scale", "web=4", "worker=1", "-a", app, "--wait");
    await Bun.sleep(steadyMs);
    const load = await startLoad({ port: platform.port, app, rate });
    const take = async () => remember(await load.take());
    const remember = (summary: Summary) => {
      posted.push(...summary.posted);
      return summary;
    };
    const whole = (killed: readonly number[] = []) =>
      until("everything is whole", wholeTimeoutMs, () => look(platform, app, wanted, killed), 5);
    return {
      platform,
      load,
      take,
      whole,
      async rested() {
        const scene = await until("the kernel is rested", wholeTimeoutMs, async () => {
          const now = await whole();
          const since = now.parts.find((part) => part.name === "kernel")?.since;
          return Date.now() - Date.parse(since ?? "") > restMs ? now : undefined;
        });
        if (scene.instances.every((one) => one.attempts <= 1)) return scene;
        // The database may have been killed a moment ago, too.
        const restart = async () => (await platform.nines("restart", "-a", app)).code === 0;
        await until("a restart is taken", wholeTimeoutMs, restart);
        await whole();
        await Bun.sleep(steadyMs);
        return await whole();
      },
      async audit() {
        remember(await load.stop());
        const ran = new Map<string, number>();
        for (const file of readdirSync(ledger)) {
          for (const id of readFileSync(join(ledger, file), "utf8").split("\n").filter(Boolean)) {
            ran.set(id, (ran.get(id) ?? 0) + 1);
          }
        }
        return [
          ...[...ran].filter(([, count]) => count > 1).map(([id, count]) => `POST ${id} ran ${count} times`),
          ...posted.filter((id) => !ran.has(id)).map((id) => `POST ${id} was answered and never ran`),
        ];
      },
      async [Symbol.asyncDispose]() {
        await load[Symbol.asyncDispose]();
        await platform[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await platform[Symbol.asyncDispose]();
    throw error;
  }
}
