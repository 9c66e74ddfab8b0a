/** Resolves where all is well, and rejects with what is not. */
export type HealthCheck = () => Promise<unknown>;

export interface HealthQuery {
  /** One check alone, by its name. */
  readonly only?: string | undefined;
  readonly excluded: ReadonlySet<string>;
  readonly verbose: boolean;
}

/** /healthz, /livez or /readyz, whole or check by check, in the text that probes and people know.
 *  @param root the page's name, which its last line says. */
export async function healthPage(
  root: string,
  checks: Readonly<Record<string, HealthCheck>>,
  { only, excluded, verbose }: HealthQuery,
): Promise<{ readonly code: number; readonly body: string }> {
  if (only !== undefined && !(only in checks)) return { code: 404, body: "404 page not found\n" };
  const names = Object.keys(checks).filter((name) => (only === undefined || name === only) && !excluded.has(name));
  const lines: string[] = [];
  let failed = false;
  for (const name of names) {
    try {
      await checks[name]?.();
      lines.push(`[+]${name} ok`);
    } catch {
      failed = true;
      lines.push(`[-]${name} failed: reason withheld`);
    }
  }
  const subject = only ?? root;
  if (failed) return { code: 500, body: `${lines.join("\n")}\n${subject} check failed\n` };
  return { code: 200, body: verbose ? `${lines.join("\n")}\n${subject} check passed\n` : "ok" };
}
