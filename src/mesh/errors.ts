/** The router's codes, which are Heroku's: what each means, what the client gets, how it is logged. */
export interface MeshError {
  readonly desc: string;
  /** Status sent to the client, or, when it cannot be sent any more, logged alone. */
  readonly status: number;
  readonly at: "info" | "warning" | "error";
  /** Seconds after which it makes sense to come again; 0 says nothing. */
  readonly retryAfter: number;
}

const error = (desc: string, status: number, at: MeshError["at"] = "error", retryAfter = 0): MeshError => ({
  desc,
  status,
  at,
  retryAfter,
});

export const meshErrors = {
  H10: error("App crashed", 503, "error", 10),
  H11: error("Backlog too deep", 503, "error", 1),
  H12: error("Request timeout", 503),
  H13: error("Connection closed without response", 503),
  H14: error("No web processes running", 503),
  H15: error("Idle connection", 503),
  H17: error("Poorly formatted HTTP response", 502),
  H18: error("Server Request Interrupted", 503),
  H19: error("Backend connection timeout", 503, "error", 5),
  H20: error("App boot timeout", 503, "error", 5),
  H21: error("Backend connection refused", 503, "error", 5),
  H22: error("Connection limit reached", 503, "error", 1),
  H24: error("Forced close", 503),
  H25: error("HTTP Restriction", 502),
  H26: error("Request Error", 400),
  H27: error("Client Request Interrupted", 499, "warning"),
  H28: error("Client Connection Idle", 499, "warning"),
  H80: error("Maintenance mode", 503, "info", 60),
  H81: error("Blank app", 503, "info"),
  H99: error("Platform error", 503),
} as const satisfies Record<string, MeshError>;

export type MeshCode = keyof typeof meshErrors;
