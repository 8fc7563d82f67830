/** Words to one line for /bin/sh; pure. */

/** A single word is a command line already; several are quoted, so that the shell gives the same words back. */
export function toShell(words: readonly string[]): string {
  const [only] = words;
  return words.length === 1 && only !== undefined ? only : words.map(quote).join(" ");
}

const quote = (word: string): string =>
  /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
