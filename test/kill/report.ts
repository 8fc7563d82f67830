/** What the kills cost, a row for each kind, as the table that the scenario prints. */
import { median, toTable } from "../../bench/table.ts";

export interface Kill {
  readonly requests: number;
  readonly failed: number;
  readonly backMs: number;
  /** From the death of an instance to the start of the process that replaces it. */
  readonly spawnMs?: number;
}

export class Report {
  readonly #kills = new Map<string, Kill[]>();

  add(kind: string, kill: Kill): void {
    this.#kills.set(kind, [...(this.#kills.get(kind) ?? []), kill]);
  }

  print(title: string): void {
    const sum = (kills: readonly Kill[], key: "requests" | "failed") =>
      String(kills.reduce((total, kill) => total + kill[key], 0));
    const spread = (values: readonly number[]) =>
      values.length === 0 ? "" : `${median(values).toFixed(0)} – ${Math.max(...values).toFixed(0)}`;
    const rows = [...this.#kills].map(([kind, kills]) => [
      kind,
      String(kills.length),
      sum(kills, "requests"),
      sum(kills, "failed"),
      spread(kills.map((kill) => kill.backMs)),
      spread(kills.flatMap((kill) => kill.spawnMs ?? [])),
    ]);
    console.log(
      `\n${title}\n${toTable(["killed", "times", "requests", "failed", "back after ms (median – max)", "spawned after ms"], rows)}`,
    );
  }
}
