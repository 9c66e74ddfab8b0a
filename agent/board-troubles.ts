/** What keeps pods from starting beside the runtime; looked at every few seconds until it is gone. */
export class BoardTroubles {
  list: readonly string[] = ["the pod network is not looked at yet"];

  /** @param onChange called when there is another reason than before, or none any more. */
  watch(reason: () => Promise<string | undefined>, onChange: () => void): { stop(): Promise<void> } {
    const quick_ms = 1_000;
    const slow_ms = 30_000;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isStopped = false;
    const look = async (): Promise<void> => {
      const found = await reason().catch((error: Error) => error.message);
      const before = this.list[0];
      this.list = found === undefined ? [] : [found];
      if (before !== found) onChange();
      if (!isStopped) timer = setTimeout(look, found === undefined ? slow_ms : quick_ms);
    };
    void look();
    return {
      stop: () => {
        isStopped = true;
        clearTimeout(timer);
        return Promise.resolve();
      },
    };
  }
}
