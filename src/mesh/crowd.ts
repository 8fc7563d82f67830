/** An app in a rollout with stages: which requests get the new release; pure but for the ids of visitors. */
import type { Audience, Person, Sticky } from "../wire/audience.ts";
import { toAdmission } from "../wire/audience.ts";
import type { Current } from "../wire/records.ts";
import type { Target } from "./target.ts";

/** What the registry says of the rollout, for the routers. */
export interface MeshStages {
  /** Seed of the buckets: with another rollout others are first. */
  readonly rollout: string;
  readonly target: Current;
  readonly sticky?: Sticky;
  /** Stages whose audience gets the target, in their order. */
  readonly open: readonly { readonly name: string; readonly audience: Audience }[];
}

/** Names a browser that has no key of its own. */
export const visitorCookie = "nines-visitor";

export class Crowd {
  readonly record: MeshStages;
  /** The target's instances that may get requests now. */
  routable: readonly Target[] = [];
  readonly #stages: readonly { readonly name: string; readonly admits: (person: Person) => boolean }[];

  constructor(record: MeshStages) {
    this.record = record;
    this.#stages = record.open.map(({ name, audience }) => ({
      name,
      admits: toAdmission(audience, record.rollout),
    }));
  }

  /** The first stage that lets the person in; undefined for those who stay with what served before. */
  admit(person: Person): string | undefined {
    return this.#stages.find((stage) => stage.admits(person))?.name;
  }
}

/**
 * What the bucket is made of: what the sticky header or cookie says; else the cookie of a visitor; else the
 * address. `made` is a new visitor's id, for who asks for a page and has none.
 */
export function toKey(
  sticky: Sticky | undefined,
  asks: { readonly header: Person["header"]; readonly cookie: Person["cookie"]; readonly address: string },
  createId: () => string,
): { readonly key: string; readonly made: string } {
  const own = sticky && (sticky.kind === "header" ? asks.header(sticky.name) : asks.cookie(sticky.name));
  if (own !== undefined && own !== "") return { key: own, made: "" };
  const visitor = asks.cookie(visitorCookie);
  if (visitor !== undefined && visitor !== "") return { key: visitor, made: "" };
  if (asks.header("accept")?.includes("text/html") !== true) return { key: asks.address, made: "" };
  const made = createId();
  return { key: made, made };
}

/** So that a browser is the same visitor for the rollouts to come. */
export function toVisitorLine(id: string, protocol: "http" | "https"): string {
  const secure = protocol === "https" ? "; Secure" : "";
  return `Set-Cookie: ${visitorCookie}=${id}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax${secure}\r\n`;
}
