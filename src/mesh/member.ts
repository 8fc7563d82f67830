/** One request while its app is in a rollout with stages: whose it is, and which release it gets. */
import { Asker } from "./asker.ts";
import { type Crowd, toKey, toVisitorLine } from "./crowd.ts";
import type { Pen } from "./pen.ts";
import type { Request } from "./request.ts";
import type { Shared } from "./shared.ts";
import type { Target } from "./target.ts";

export class Member {
  readonly #crowd: Crowd;
  /** Empty for who stays with what served before. */
  readonly #stage: string;
  /** Id of a new visitor, to come back with; empty for everybody else. */
  readonly #visitor: string;

  constructor(crowd: Crowd, stage: string, visitor: string) {
    this.#crowd = crowd;
    this.#stage = stage;
    this.#visitor = visitor;
  }

  get isIn(): boolean {
    return this.#stage !== "";
  }

  /** The stage that brought the request to this instance; empty when it is not of the release that stages get. */
  stageOf({ instance }: Target): string {
    const { release, generation } = this.#crowd.record.target;
    return instance.release === release && instance.generation === generation ? this.#stage : "";
  }

  /** What the instance hears. */
  write(pen: Pen, target: Target): void {
    const stage = this.stageOf(target);
    if (stage === "") return;
    pen.text("X-Nines-Stage: ");
    pen.text(stage);
    pen.text("\r\n");
  }

  /** The line that an answer gets. */
  toLine(protocol: "http" | "https"): string {
    return this.#visitor === "" ? "" : toVisitorLine(this.#visitor, protocol);
  }
}

/** To be called while the head of the request is the one that was parsed last. */
export function join(crowd: Crowd, { request: head, createId }: Shared, request: Request): Member {
  const asker = new Asker(head, request.clientAddress);
  const { key, made } = toKey(crowd.record.sticky, asker, createId);
  asker.key = key;
  return new Member(crowd, crowd.admit(asker) ?? "", made);
}
