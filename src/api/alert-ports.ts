/** What the API needs of whoever keeps asserts and alerts. */
import type {
  AlertsReply,
  AssertChange,
  AssertSetReply,
  AssertsReply,
  AssertTestReply,
  ReceiverReply,
  SilenceReply,
} from "../wire/asserts.ts";

interface By {
  readonly by: string;
}

export interface AssertsControl {
  list(): Promise<AssertsReply>;
  /** Makes it when it is not there; what is not given stays as it is. */
  set(caller: By, name: string, change: AssertChange): Promise<AssertSetReply>;
  /** A shipped one that was adjusted is as it came again. */
  remove(caller: By, name: string): Promise<{ readonly name: string; readonly restored: boolean }>;
  /** Over the past: an assert there is, or one that is only given, or both. */
  test(test: {
    readonly name: string | undefined;
    readonly change: AssertChange;
    readonly sinceMs: number;
  }): Promise<AssertTestReply>;
  /** As rules of Prometheus, in YAML. */
  rules(): Promise<string>;
}

export interface AlertsControl {
  list(): Promise<AlertsReply>;
  silences(): Promise<readonly SilenceReply[]>;
  silence(
    caller: By,
    silence: { readonly matchers: string; readonly forMs: number; readonly why: string },
  ): Promise<SilenceReply & { readonly silenced: readonly string[] }>;
  /** By its id, or the beginning of it. */
  unsilence(caller: By, id: string): Promise<void>;
  receivers(): Promise<readonly ReceiverReply[]>;
  setReceiver(caller: By, name: string, receiver: unknown): Promise<{ readonly name: string }>;
  removeReceiver(caller: By, name: string): Promise<void>;
}
