import { CommandError, waitFor } from "#tools/local-cluster/run.ts";

/** An emulated machine gets there, however busy the one is that it runs on. */
export const patience_s = 2_400;
const LOOK_EVERY_MS = 2_000;

/** Asks again while an answer is not there or not as awaited: an emulated machine may not answer in time. */
export const untilSo = (what: string, look: () => boolean): Promise<boolean> =>
  waitFor(what, patience_s, async () => {
    try {
      if (look()) return true;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
    }
    await Bun.sleep(LOOK_EVERY_MS);
    return undefined;
  });
