/** Whether a pod's volumes are to show something new. What is asked for while they are being refreshed is not lost. */
export class VolumeRefresh {
  #wanted = false;

  want(): void {
    this.#wanted = true;
  }

  /** Refreshes if that is wanted or `due`. A refresh that rejects stays wanted. */
  async settle(due: boolean, refresh: () => Promise<void>): Promise<void> {
    if (!this.#wanted && !due) return;
    this.#wanted = false;
    try {
      await refresh();
    } catch (error) {
      this.#wanted = true;
      throw error;
    }
  }
}
