/** One thing that `nines doctor` looked at. */
export interface Finding {
  readonly level: "ok" | "advice" | "problem";
  readonly what: string;
  readonly found: string;
  readonly advice?: string;
}

/** What the doctor must know of the config. */
export interface Wanted {
  readonly host: string;
  readonly port: number;
  readonly apiPort: number;
  readonly databaseUrl: string | undefined;
  readonly instancePorts: { readonly from: number; readonly to: number };
}
