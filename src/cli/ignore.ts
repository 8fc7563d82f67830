/** `.gitignore` patterns; pure. Later lines go before earlier ones, `!` takes a match back. */

export interface Rule {
  readonly pattern: RegExp;
  readonly negated: boolean;
  readonly foldersOnly: boolean;
}

/** The rules of one ignore file that lies in `folder` ("" is the root, else "a/b"). */
export function parseIgnore(text: string, folder = ""): readonly Rule[] {
  return text.split(/\r?\n/).flatMap((raw) => {
    let line = raw.replace(/(?<!\\)\s+$/, "");
    if (line === "" || line.startsWith("#")) return [];
    const negated = line.startsWith("!");
    if (negated) line = line.slice(1);
    const foldersOnly = line.endsWith("/");
    if (foldersOnly) line = line.slice(0, -1);
    // A slash at the start or in the middle ties the pattern to the folder of its file.
    const tied = line.includes("/");
    if (line.startsWith("/")) line = line.slice(1);
    if (line === "") return [];
    const base = folder === "" ? "" : `${literal(folder)}/`;
    const pattern = new RegExp(`^${base}${tied ? "" : "(?:.*/)?"}${toSource(line)}$`);
    return [{ pattern, negated, foldersOnly }];
  });
}

/** Whether a path ("a/b.txt") is left out. A file in a folder that is left out is never asked about. */
export function isIgnored(path: string, isFolder: boolean, rules: readonly Rule[]): boolean {
  for (let at = rules.length - 1; at >= 0; at--) {
    const rule = rules[at];
    if (rule === undefined || (rule.foldersOnly && !isFolder) || !rule.pattern.test(path)) continue;
    return !rule.negated;
  }
  return false;
}

function toSource(glob: string): string {
  let source = "";
  for (let at = 0; at < glob.length; at++) {
    const rest = glob.slice(at);
    if (rest.startsWith("**/")) {
      source += "(?:.*/)?";
      at += 2;
    } else if (rest === "**") {
      source += ".+";
      at += 1;
    } else if (rest.startsWith("*")) {
      source += "[^/]*";
    } else if (rest.startsWith("?")) {
      source += "[^/]";
    } else if (rest.startsWith("\\") && rest.length > 1) {
      source += literal(rest[1] ?? "");
      at += 1;
    } else if (rest.startsWith("[")) {
      const set = /^\[([!^]?)(\]?[^\]/]*)\]/.exec(rest);
      if (set === null) source += "\\[";
      else {
        source += `[${set[1] === "" ? "" : "^"}${(set[2] ?? "").replace(/[\\\]]/g, "\\$&")}]`;
        at += set[0].length - 1;
      }
    } else source += literal(rest[0] ?? "");
  }
  return source;
}

const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
