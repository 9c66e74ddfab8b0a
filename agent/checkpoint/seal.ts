import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { readIfPresent } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";

const magic = Buffer.from("BRS1");
const key_bytes = 32;
const nonce_bytes = 12;
const tag_bytes = 16;

/** What was sealed cannot be opened: damaged, of another name, or sealed with another key. */
class SealError extends Error {
  override readonly name = "SealError";
}

/**
 * Seals what a board keeps on its card (AES-256-GCM): damage is noticed, and once the key file is gone, with the board's
 * identity when it leaves a cluster, nothing on the card can be read any more.
 */
export class Seal {
  private constructor(
    private readonly key: Buffer,
    private readonly cluster: string,
  ) {}

  /** With the key in the file; made when there is none, or none that can be used.
   *  @param cluster names the cluster: what was sealed in another one is refused. */
  static async open(keyFile: string, cluster: string): Promise<Seal> {
    const present = Buffer.from((await readIfPresent(keyFile))?.trim() ?? "", "base64");
    if (present.length === key_bytes) return new Seal(present, cluster);
    const key = randomBytes(key_bytes);
    await writeSecureFile(keyFile, `${key.toString("base64")}\n`);
    return new Seal(key, cluster);
  }

  /** @param name what it is: opened under another name it is refused. */
  close(name: string, content: Uint8Array): Buffer {
    const nonce = randomBytes(nonce_bytes);
    const cipher = createCipheriv("aes-256-gcm", this.key, nonce);
    cipher.setAAD(Buffer.from(`${this.cluster}\n${name}`));
    return Buffer.concat([magic, nonce, cipher.update(content), cipher.final(), cipher.getAuthTag()]);
  }

  /** Throws SealError. */
  open(name: string, sealed: Uint8Array): Buffer {
    const data = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
    const begin = magic.length + nonce_bytes;
    if (data.length < begin + tag_bytes || !data.subarray(0, magic.length).equals(magic))
      throw new SealError("it is cut short or of an unknown form");
    const decipher = createDecipheriv("aes-256-gcm", this.key, data.subarray(magic.length, begin));
    decipher.setAAD(Buffer.from(`${this.cluster}\n${name}`));
    decipher.setAuthTag(data.subarray(-tag_bytes));
    try {
      return Buffer.concat([decipher.update(data.subarray(begin, -tag_bytes)), decipher.final()]);
    } catch (error) {
      throw new SealError("it is damaged, or was sealed with another key", { cause: error });
    }
  }
}
