import { type AttachmentFacts, attachmentOf } from "./attachment-plan.ts";

/** Since when attachments have been without a pod on their node that needs them. */
export class UnneededAttachments {
  /** By node and attachment, of those that are there; monotonic ms. */
  readonly #since_ms = new Map<string, ReadonlyMap<string, number>>();

  /** Takes in which of a node's attachments its pods need now. */
  note({ present, wanted, nodeName }: AttachmentFacts, now_ms: number): void {
    const needed = new Set(wanted.map(({ volume }) => attachmentOf(volume, nodeName)));
    const since_ms = new Map<string, number>();
    for (const { attachment } of present) {
      const { name = "" } = attachment.metadata;
      if (!needed.has(name)) since_ms.set(name, this.#since_ms.get(nodeName)?.get(name) ?? now_ms);
    }
    if (since_ms.size > 0) this.#since_ms.set(nodeName, since_ms);
    else this.#since_ms.delete(nodeName);
  }

  /** Has the node attachments that nobody needs? */
  isOn(nodeName: string): boolean {
    return this.#since_ms.has(nodeName);
  }

  /** How long nobody has needed it, ms; 0 when somebody does. */
  for_ms(nodeName: string, attachmentName: string, now_ms: number): number {
    return now_ms - (this.#since_ms.get(nodeName)?.get(attachmentName) ?? now_ms);
  }

  /** Nodes of which something is known. */
  get size(): number {
    return this.#since_ms.size;
  }
}
