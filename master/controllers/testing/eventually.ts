/** Waits until the condition holds, looking again after every turn of the event loop; fails after a minute, which only a
 *  broken program needs. */
export async function eventually(condition: () => boolean | Promise<boolean>, what = "the condition"): Promise<void> {
  const deadline_ms = performance.now() + 60_000;
  while (!(await condition())) {
    if (performance.now() > deadline_ms) throw new Error(`${what} never came true`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
