/** A platform with one app in stages, and users who never stop asking. */
import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import type { ReleaseReply } from "../../src/wire/api.ts";
import { isInShare } from "../../src/wire/audience.ts";
import type { Rollout } from "../../src/wire/records.ts";
import type { Transition } from "../../src/wire/stages.ts";
import { type Platform, startPlatform, until } from "../harness.ts";
import { type Bug, type Plan, writeStaged } from "./app.ts";
import { type Met, startUsers, type Users } from "./users.ts";

export interface Bench extends AsyncDisposable {
  readonly platform: Platform;
  readonly users: Users;
  /** Deploys and follows it to its end; what users met before is thrown away. */
  deploy(
    bug: Bug,
    plan?: Plan,
    flags?: readonly string[],
  ): Promise<{ readonly rollout: Rollout; readonly code: number; readonly stderr: string }>;
  /** The same, and throws unless it exits 0. */
  must(bug: Bug, flags: readonly string[]): Promise<void>;
  rollout(): Promise<Rollout>;
  untilOver(rollout: Rollout): Promise<Rollout>;
  release(version: number): Promise<ReleaseReply>;
  /** Of a release that was turned down: never shown as live. */
  history(rollout: Rollout): Promise<readonly Transition[]>;
  /** Of the users outside of internal and beta nobody met the release before it was everybody's. */
  expectOnlyMembers(met: readonly Met[], rollout: Rollout): void;
}

export async function startBench(perSecond: number): Promise<Bench> {
  const platform = await startPlatform();
  const folder = `${platform.folder}/shop`;
  writeStaged(folder, {});
  await platform.must("deploy", folder, "-a", "shop");
  await platform.must("scale", "web=2", "-a", "shop", "--wait");
  const users = startUsers(platform.port, "shop", perSecond);
  const ask = async <T>(path: string): Promise<T> => {
    const reply = await fetch(`http://127.0.0.1:${platform.apiPort}${path}`, {
      headers: { Authorization: `Bearer ${readFileSync(platform.home.token, "utf8").trim()}` },
      signal: AbortSignal.timeout(30_000),
    });
    if (!reply.ok) throw new Error(`${path}: ${reply.status} ${await reply.text()}`);
    return (await reply.json()) as T;
  };
  const rollout = async () => (await ask<{ rollout: Rollout }>("/v1/apps/shop/rollout")).rollout;
  const release = async (version: number) => ask<ReleaseReply>(`/v1/apps/shop/releases/${version}`);
  return {
    platform,
    users,
    rollout,
    release,
    async deploy(bug, plan, flags = []) {
      writeStaged(folder, bug, plan);
      users.take();
      const ran = await platform.run(["deploy", folder, "-a", "shop", ...flags], { timeoutMs: 240_000 });
      console.log(ran.stdout + ran.stderr);
      const now = await until("a controller answers", 60_000, () => rollout().catch(() => undefined));
      return { rollout: now, code: ran.code, stderr: ran.stderr };
    },
    async must(bug, flags) {
      writeStaged(folder, bug);
      await platform.must("deploy", folder, "-a", "shop", ...flags);
    },
    untilOver: ({ id }) =>
      until("the rollout is over", 180_000, async () => {
        const now = await rollout().catch(() => undefined);
        return now?.id === id && (now.state === "done" || now.state === "failed") ? now : undefined;
      }),
    async history({ target }) {
      const found = await release(target.release);
      if (found.state === "current") throw new Error(`v${target.release} is shown as live`);
      return found.transitions;
    },
    expectOnlyMembers(met, { id, target }) {
      const early = met.filter(
        (one) => one.release === target.release && one.stage !== "all" && one.stage !== "",
      );
      expect(early.length).toBeGreaterThan(0);
      for (const one of early) {
        const isMember = one.user === "staff" ? one.stage === "internal" : isInShare(id, one.user, 30);
        expect([one.user, one.stage, isMember]).toEqual([one.user, one.stage, true]);
      }
    },
    async [Symbol.asyncDispose]() {
      await users[Symbol.asyncDispose]();
      await platform[Symbol.asyncDispose]();
    },
  };
}
