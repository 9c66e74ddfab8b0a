/** Messages of several errors in one, as Go's apimachinery joins an Aggregate: one alone, several in brackets, each once. */
export function joinErrors(messages: Iterable<string>): string {
  const [first = "", ...others] = new Set(messages);
  return others.length === 0 ? first : `[${[first, ...others].join(", ")}]`;
}

/** What a person reads of whatever was thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
