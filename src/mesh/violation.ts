/** Which code an instance's malformed answer gets; pure. */
import type { MeshCode } from "./errors.ts";
import * as fault from "./fault.ts";

/** H25 for what breaks a limit or contradicts itself about its length, H17 for what is not HTTP. */
export function toBlame(violation: number): MeshCode {
  switch (violation) {
    case fault.HEAD_LONG:
    case fault.COOKIE_LONG:
    case fault.STATUS_LINE_LONG:
    case fault.FIELD_LONG:
    case fault.FIELD_COUNT:
    case fault.LENGTH_FORM:
    case fault.LENGTH_DIFFERS:
    case fault.ENCODING_AND_LENGTH:
      return "H25";
    default:
      return "H17";
  }
}
