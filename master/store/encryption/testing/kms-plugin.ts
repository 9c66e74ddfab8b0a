/**
 * A key service (KMS v2) as a process of its own: `bun kms-plugin.ts SOCKET BEHAVIOUR`. The file BEHAVIOUR holds a Behaviour as JSON and is
 * read at each call, so that a test changes it while the service runs. A key follows from its ID: what one process has encrypted, a later
 * one decrypts.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { GrpcCode, GrpcError } from "#shared/grpc/grpc-error.ts";
import { GrpcServer } from "#shared/grpc/server.ts";
import { openGcm, sealGcm } from "../../aes-gcm.ts";
import {
  DecryptRequest,
  DecryptResponse,
  EncryptRequest,
  EncryptResponse,
  kmsPath,
  StatusResponse,
} from "../kms-messages.ts";

export interface Behaviour {
  /** What Status tells. */
  readonly keyId?: string;
  /** What encrypts, where that is another. */
  readonly encryptKeyId?: string;
  readonly healthz?: string;
  readonly version?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Bytes before what is encrypted. */
  readonly padding?: number;
  /** Before each answer. */
  readonly delay_ms?: number;
  /** Calls that fail, by the method's name. */
  readonly failing?: readonly string[];
}

const [socket = "", behaviourPath = ""] = process.argv.slice(2);

async function behaviour(method: string): Promise<Behaviour> {
  const found = JSON.parse(readFileSync(behaviourPath, "utf8")) as Behaviour;
  if (found.delay_ms) await Bun.sleep(found.delay_ms);
  if (found.failing?.includes(method)) throw new GrpcError(GrpcCode.Internal, `${method} is broken`, true);
  return found;
}

const keyOf = (keyId: string): Uint8Array => createHash("sha256").update(keyId).digest();

const server = new GrpcServer({
  unary: {
    [kmsPath("Status")]: async () => {
      const { version = "v2", healthz = "ok", keyId = "key-1" } = await behaviour("Status");
      return StatusResponse.encode({ version, healthz, keyId });
    },
    [kmsPath("Encrypt")]: async (request) => {
      const { keyId = "key-1", encryptKeyId = keyId, annotations = {}, padding = 0 } = await behaviour("Encrypt");
      const plaintext = Buffer.from(EncryptRequest.decode(request).plaintext).toString("base64");
      const ciphertext = Buffer.concat([Buffer.alloc(padding), sealGcm(keyOf(encryptKeyId), encryptKeyId, plaintext)]);
      const notes = Object.entries(annotations).map(([name, value]) => [name, Buffer.from(value)]);
      return EncryptResponse.encode({ ciphertext, keyId: encryptKeyId, annotations: Object.fromEntries(notes) });
    },
    [kmsPath("Decrypt")]: async (request) => {
      const { padding = 0 } = await behaviour("Decrypt");
      const { ciphertext, keyId } = DecryptRequest.decode(request);
      const plaintext = openGcm(keyOf(keyId), keyId, Buffer.from(ciphertext).subarray(padding));
      return DecryptResponse.encode({ plaintext: Buffer.from(plaintext, "base64") });
    },
  },
});
await server.listenUnix(socket);
console.log("ready");
