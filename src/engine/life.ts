/**
 * The life of one place (`web.1` of a release): which states it passes through, and what is to be done at
 * each step. Pure: `advance` takes the life, what happened and the time, and returns the next life with the
 * acts that the performer (instance.ts) carries out.
 *
 *   waiting → starting → up ⇄ unhealthy → crashed → waiting …
 *   any of them, once it is not wanted: draining → stopping → gone
 *
 * Any exit that nobody asked for is a crash, 0 too. A crash is answered at once the first time, then after a
 * growing cool-off; a stable run, a manual restart or another release starts the count anew. The cool-off is
 * the least time from one launch to the next: a run that lasted longer has waited already.
 */
import { toDuration } from "../std/duration.ts";
import { unreachable } from "../std/errors.ts";
import { type Cooloff, type CooloffPolicy, freshCooloff, nextAttempt } from "../supervisor/supervisor.ts";
import type { InstanceState } from "../wire/messages.ts";
import type { Limits } from "../wire/records.ts";
import { type ExitStatus, toExitText, toReason } from "./exit.ts";

/**
 * Looks in a row, one each 250 ms, that find a process stopped (SIGSTOP) until it is killed: over a second, since a
 * shorter stop (a debugger that attaches, a snapshot of the machine) is cheaper to wait out than what it holds is to lose.
 */
export const frozenLooksMax = 5;
/** Between two SIGKILLs of what does not exit. */
const killAgainMs = 1_000;

export type Life =
  /** For a permit to launch and a working directory. `reason`: of the crash before; empty when there was none. */
  | { readonly kind: "waiting"; readonly reason: string }
  | { readonly kind: "starting"; readonly deadline: number }
  | { readonly kind: "up"; readonly failures: number }
  /** Stopped by a signal; not routed to, and killed if it stays so. */
  | { readonly kind: "unhealthy"; readonly looks: number }
  /** SIGKILL is sent, and sent again until it exits: it counts as a crash. */
  | { readonly kind: "killed"; readonly reason: string; readonly killAt: number }
  | { readonly kind: "crashed"; readonly tryAt: number; readonly reason: string }
  | { readonly kind: "draining"; readonly until: number; readonly after: After }
  /** SIGTERM is sent; at `killAt` SIGKILL, and again until it exits. */
  | { readonly kind: "stopping"; readonly killAt: number; readonly killed: boolean; readonly after: After }
  | { readonly kind: "gone" };

/** What follows a stop that was asked for. */
export type After = "end" | "launch";

/** A life, and what it remembers over its crashes. */
export interface Course {
  readonly life: Life;
  /** How often this place was launched. */
  readonly attempts: number;
  /** Counts as started what is up: a run that never was is not stable, however long it took. */
  readonly cooloff: Cooloff;
  /** When the last run was launched; undefined before the first. */
  readonly launchedAt?: number;
}

export type Event =
  | { readonly on: "launched" }
  | { readonly on: "launch_failed"; readonly reason: string }
  /** Web: it listens, and its health path answers. Others: it lives. */
  | { readonly on: "ready" }
  | { readonly on: "boot_timeout"; readonly reason: string }
  /** While stopping: all its processes are gone. Else: its main one. */
  | { readonly on: "exited"; readonly status: ExitStatus }
  | { readonly on: "probed"; readonly ok: boolean; readonly reason: string }
  | { readonly on: "looked"; readonly frozen: boolean }
  | { readonly on: "memory_exceeded" }
  | { readonly on: "unwanted" }
  | { readonly on: "restart" }
  | { readonly on: "drained" }
  | { readonly on: "tick" };

export type Act =
  /** Take a permit and a working directory, and spawn. */
  | { readonly do: "launch" }
  | { readonly do: "stop" }
  | { readonly do: "kill" }
  /** Kill what is left of it, remove its working directory. */
  | { readonly do: "sweep" }
  | { readonly do: "log"; readonly text: string };

/** What the policy needs to know of the place. */
export interface Terms {
  readonly web: boolean;
  /** Failures in a row that its health check allows; 0 without a health check. */
  readonly failures: number;
  readonly limits: Limits;
  readonly policy: CooloffPolicy;
  /** False while another instance is being replaced, or an operator wants unhealthy ones left as they are. */
  readonly mayReplace: () => boolean;
}

export interface Step {
  readonly course: Course;
  readonly acts: readonly Act[];
}

export const firstCourse: Course = {
  life: { kind: "waiting", reason: "" },
  attempts: 0,
  cooloff: freshCooloff,
};

export function advance(course: Course, event: Event, terms: Terms, now: number, chance: number): Step {
  const { life } = course;
  const stay: Step = { course, acts: [] };
  const to = (next: Life, ...acts: Act[]): Step => ({ course: { ...course, life: next }, acts });
  const turn = (kind: "started" | "crashed" | "reset") =>
    nextAttempt(course.cooloff, { kind }, now, chance, terms.policy);

  switch (event.on) {
    case "launched":
      if (life.kind !== "waiting") return stay;
      return {
        course: {
          ...course,
          attempts: course.attempts + 1,
          launchedAt: now,
          life: { kind: "starting", deadline: now + terms.limits.bootTimeoutMs },
        },
        acts: [],
      };

    case "launch_failed":
      return life.kind === "waiting"
        ? crash({ ...course, attempts: course.attempts + 1 }, event.reason)
        : stay;

    case "ready":
      if (life.kind !== "starting") return stay;
      return { course: { ...course, cooloff: turn("started"), life: { kind: "up", failures: 0 } }, acts: [] };

    case "boot_timeout":
      return life.kind === "starting" ? kill(`Error R10 (Boot timeout) -> ${event.reason}`) : stay;

    case "exited": {
      const text: Act = { do: "log", text: `Process ${toExitText(event.status)}` };
      if (life.kind === "draining") return finish(life.after, text);
      if (life.kind === "stopping") return finish(life.after, text);
      if (life.kind === "killed") return crash(course, life.reason, text);
      if (life.kind === "starting" || life.kind === "up" || life.kind === "unhealthy") {
        return crash(course, toReason(event.status), text);
      }
      return stay;
    }

    case "probed": {
      if (life.kind !== "up" || terms.failures === 0) return stay;
      if (event.ok) return life.failures === 0 ? stay : to({ ...life, failures: 0 });
      const failures = life.failures + 1;
      if (failures < terms.failures || !terms.mayReplace()) return to({ ...life, failures });
      return kill(`Error R80 (Unhealthy) -> ${failures} health checks in a row failed: ${event.reason}`);
    }

    case "looked": {
      if (life.kind === "up" && event.frozen) return to({ kind: "unhealthy", looks: 1 });
      if (life.kind !== "unhealthy") return stay;
      if (!event.frozen) return to({ kind: "up", failures: 0 });
      if (life.looks + 1 < frozenLooksMax) return to({ ...life, looks: life.looks + 1 });
      return kill("Error R80 (Unhealthy) -> Process is stopped by a signal");
    }

    case "memory_exceeded":
      return isRunning(life) ? kill("Error R15 (Memory quota vastly exceeded)") : stay;

    case "unwanted":
      return leave("end");

    case "restart":
      if (life.kind === "waiting") return { course: { ...course, cooloff: turn("reset") }, acts: [] };
      if (life.kind === "crashed") {
        const fresh = { ...course, cooloff: turn("reset"), life: { kind: "waiting", reason: "" } as const };
        return { course: fresh, acts: [{ do: "launch" }] };
      }
      return leave("launch");

    case "drained":
      return life.kind === "draining" ? stop(life.after) : stay;

    case "tick":
      if (life.kind === "crashed" && now >= life.tryAt)
        return to({ kind: "waiting", reason: life.reason }, { do: "launch" });
      if (life.kind === "draining" && now >= life.until) return stop(life.after);
      if (life.kind === "killed" && now >= life.killAt) return killAgain(life);
      if (life.kind === "stopping" && now >= life.killAt) {
        if (life.killed) return killAgain(life);
        const grace = toDuration(terms.limits.graceMs);
        return to(
          { ...life, killAt: now + killAgainMs, killed: true },
          {
            do: "log",
            text: `Error R12 (Exit timeout) -> At least one process failed to exit within ${grace} of SIGTERM`,
          },
          { do: "log", text: "Stopping all processes with SIGKILL" },
          { do: "kill" },
        );
      }
      return stay;

    default:
      return unreachable(event);
  }

  function isRunning(given: Life): given is Life & { kind: "starting" | "up" | "unhealthy" } {
    return given.kind === "starting" || given.kind === "up" || given.kind === "unhealthy";
  }

  /** Not wanted, or not wanted as it is: out of the mesh first, if it ever was in it. */
  function leave(after: After): Step {
    switch (life.kind) {
      case "up":
      case "unhealthy":
        return terms.web
          ? to({ kind: "draining", until: now + terms.limits.drainTimeoutMs, after })
          : stop(after);
      case "starting":
        return stop(after);
      case "draining":
      case "stopping":
        return after === "end" ? to({ ...life, after }) : stay;
      case "killed":
        return after === "end" ? to({ kind: "stopping", killAt: life.killAt, killed: true, after }) : stay;
      case "waiting":
      case "crashed":
        return to({ kind: "gone" });
      case "gone":
        return stay;
      default:
        return unreachable(life);
    }
  }

  function stop(after: After): Step {
    return to(
      { kind: "stopping", killAt: now + terms.limits.graceMs, killed: false, after },
      { do: "log", text: "Stopping all processes with SIGTERM" },
      { do: "stop" },
    );
  }

  function finish(after: After, text: Act): Step {
    if (after === "end") return to({ kind: "gone" }, text, { do: "sweep" });
    const fresh = { ...course, cooloff: turn("reset"), life: { kind: "waiting", reason: "" } as const };
    return { course: fresh, acts: [text, { do: "sweep" }, { do: "launch" }] };
  }

  function kill(reason: string): Step {
    return to(
      { kind: "killed", reason, killAt: now + killAgainMs },
      { do: "log", text: reason },
      { do: "log", text: "Stopping process with SIGKILL" },
      { do: "kill" },
    );
  }

  /** The first one may not have reached it: whoever sends it may lack what it takes. */
  function killAgain(given: Extract<Life, { kind: "killed" | "stopping" }>): Step {
    return to({ ...given, killAt: now + killAgainMs }, { do: "kill" });
  }

  function crash(from: Course, reason: string, ...acts: Act[]): Step {
    const cooloff = turn("crashed");
    const tryAt = (course.launchedAt ?? now) + cooloff.nextAt - now;
    if (tryAt > now) {
      const crashed = { kind: "crashed", tryAt, reason } as const;
      return { course: { ...from, cooloff, life: crashed }, acts: [...acts, { do: "sweep" }] };
    }
    return {
      course: { ...from, cooloff, life: { kind: "waiting", reason } },
      acts: [...acts, { do: "launch" }, { do: "sweep" }],
    };
  }
}

/** When the life wants a `tick`; undefined when it waits for something else. */
export function nextTickAt(life: Life): number | undefined {
  switch (life.kind) {
    case "crashed":
      return life.tryAt;
    case "draining":
      return life.until;
    case "killed":
    case "stopping":
      return life.killAt;
    default:
      return undefined;
  }
}

/** What the others are told. */
export function toState(life: Life): InstanceState {
  switch (life.kind) {
    case "waiting":
      return life.reason === "" ? "starting" : "crashed";
    case "killed":
      return "unhealthy";
    case "gone":
      return "down";
    default:
      return life.kind;
  }
}
