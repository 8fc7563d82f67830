/** Where an exchange is. */
export type Phase =
  | "choosing"
  | "waiting"
  | "connecting"
  /** Until the first byte of the answer. */
  | "sending"
  | "answering"
  | "tunnel"
  | "over";
