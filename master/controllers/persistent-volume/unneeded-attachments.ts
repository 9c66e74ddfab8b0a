import { type AttachmentFacts, attachmentOf } from "./attachment-plan.ts";

/** Since when attachments have been without a pod on their node that needs them. */
export class UnneededAttachments {
  readonly #since_ms = new Map<string, number>();

  /** Takes in which of a node's attachments its pods need now. */
  note({ present, wanted, nodeName }: AttachmentFacts, now_ms: number): void {
    const needed = new Set(wanted.map(({ volume }) => attachmentOf(volume, nodeName)));
    for (const { attachment } of present) {
      const { name = "" } = attachment.metadata;
      if (needed.has(name)) this.#since_ms.delete(name);
      else if (!this.#since_ms.has(name)) this.#since_ms.set(name, now_ms);
    }
  }

  has(attachmentName: string): boolean {
    return this.#since_ms.has(attachmentName);
  }

  /** How long nobody has needed it, ms; 0 when somebody does. */
  for_ms(attachmentName: string, now_ms: number): number {
    return now_ms - (this.#since_ms.get(attachmentName) ?? now_ms);
  }

  forget(attachmentName: string): void {
    this.#since_ms.delete(attachmentName);
  }
}
