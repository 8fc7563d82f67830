/**
 * The flags as a provider for OpenFeature's SDK for servers. Its types are written down here, so that the SDK needs
 * no package of theirs.
 */
import type { FlagContext, FlagDetails, Flags } from "./sdk.ts";

type Handler = (details?: object) => unknown;

/** What OpenFeature's client listens at. */
class Emitter {
  readonly #handlers = new Map<string, Handler[]>();

  addHandler(event: string, handler: Handler): void {
    this.#handlers.set(event, [...(this.#handlers.get(event) ?? []), handler]);
  }

  removeHandler(event: string, handler: Handler): void {
    this.#handlers.set(
      event,
      (this.#handlers.get(event) ?? []).filter((one) => one !== handler),
    );
  }

  removeAllHandlers(event?: string): void {
    if (event === undefined) this.#handlers.clear();
    else this.#handlers.delete(event);
  }

  getHandlers(event: string): Handler[] {
    return this.#handlers.get(event) ?? [];
  }

  setLogger(): this {
    return this;
  }

  emit(event: string, details: object): void {
    for (const handler of this.getHandlers(event)) handler(details);
  }
}

interface Resolved<T> {
  readonly value: T;
  readonly variant?: string;
  readonly reason: string;
  // OpenFeature's own enumeration of codes, which texts of the same name are not in TypeScript's eyes.
  // biome-ignore lint/suspicious/noExplicitAny: see above.
  readonly errorCode?: any;
  readonly errorMessage?: string;
  readonly flagMetadata: Record<string, string | number | boolean>;
}

export interface Provider {
  readonly metadata: { readonly name: string };
  readonly runsOn: "server";
  // biome-ignore lint/suspicious/noExplicitAny: their emitter is generic in ways that a copy cannot be.
  readonly events: any;
  initialize(): Promise<void>;
  onClose(): Promise<void>;
  resolveBooleanEvaluation(key: string, fallback: boolean, context: FlagContext): Promise<Resolved<boolean>>;
  resolveStringEvaluation(key: string, fallback: string, context: FlagContext): Promise<Resolved<string>>;
  resolveNumberEvaluation(key: string, fallback: number, context: FlagContext): Promise<Resolved<number>>;
  // biome-ignore lint/suspicious/noExplicitAny: any JSON.
  resolveObjectEvaluation(key: string, fallback: any, context: FlagContext): Promise<Resolved<any>>;
}

export function createProvider(flags: Flags): Provider {
  const events = new Emitter();
  const changes = flags.onChange((flagsChanged) => {
    events.emit("PROVIDER_CONFIGURATION_CHANGED", { flagsChanged: [...flagsChanged] });
  });
  const resolve = async <T>(key: string, fallback: T, context: FlagContext): Promise<Resolved<T>> =>
    toResolved(flags.details(key, fallback, context));
  return {
    metadata: { name: "nines" },
    runsOn: "server",
    events,
    // Without a file every answer is the default of the code, which is what a client does without a provider.
    initialize: async () => {},
    onClose: async () => changes.close(),
    resolveBooleanEvaluation: resolve,
    resolveStringEvaluation: resolve,
    resolveNumberEvaluation: resolve,
    resolveObjectEvaluation: resolve,
  };
}

function toResolved<T>({ metadata, ...details }: FlagDetails<T>): Resolved<T> {
  return { ...details, flagMetadata: { ...metadata } };
}
