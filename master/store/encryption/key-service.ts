/** Calls of a key service (KMS v2) over its Unix socket. */
import { randomUUID } from "node:crypto";
import { GrpcChannel } from "#shared/grpc/channel.ts";
import { GrpcCode, GrpcError } from "#shared/grpc/grpc-error.ts";
import { kmsMetrics } from "./encryption-metrics.ts";
import {
  DecryptRequest,
  DecryptResponse,
  type EncryptedObject,
  EncryptRequest,
  EncryptResponse,
  type KmsMethod,
  kmsPath,
  StatusRequest,
  StatusResponse,
} from "./kms-messages.ts";

export interface KeyServiceOptions {
  /** The provider's, by which metrics tell services apart. */
  readonly name: string;
  readonly endpoint: URL;
  /** Of each call, the time until the service is there included. */
  readonly timeout_ms: number;
}

const longestMessage_bytes = 4 * 1024 * 1024;
/** How often one that is not there is looked for. */
const lookAgain_ms = 100;

/** Every call rejects with GrpcError. */
export class KeyService {
  readonly #options: KeyServiceOptions;
  readonly #channel: GrpcChannel;

  constructor(options: KeyServiceOptions) {
    this.#options = options;
    const { endpoint, timeout_ms: connect_ms } = options;
    this.#channel = new GrpcChannel({ endpoint, connect_ms, longestMessage_bytes });
  }

  async status(): Promise<StatusResponse> {
    return StatusResponse.decode(await this.#call("Status", StatusRequest.encode({})));
  }

  async encrypt(plaintext: Uint8Array, uid: string): Promise<EncryptResponse> {
    return EncryptResponse.decode(await this.#call("Encrypt", EncryptRequest.encode({ plaintext, uid })));
  }

  /** What the source of a data key in an envelope was before it was encrypted. */
  async decrypt({ encryptedDekSource, keyId, annotations }: EncryptedObject): Promise<Uint8Array> {
    const request = { ciphertext: encryptedDekSource, uid: randomUUID(), keyId, annotations };
    return DecryptResponse.decode(await this.#call("Decrypt", DecryptRequest.encode(request))).plaintext;
  }

  close(): void {
    this.#channel.close();
  }

  async #call(method: KmsMethod, message: Uint8Array): Promise<Buffer> {
    const began_ms = performance.now();
    let code: number = GrpcCode.Ok;
    try {
      return await this.#whenReady(kmsPath(method), message, began_ms + this.#options.timeout_ms);
    } catch (error) {
      if (error instanceof GrpcError) code = error.code;
      throw error;
    } finally {
      kmsMetrics.called(this.#options.name, kmsPath(method), code, (performance.now() - began_ms) / 1000);
    }
  }

  /** As gRPC's clients do with WaitForReady: a service that starts beside the API server is waited for. */
  async #whenReady(path: string, message: Uint8Array, deadline_ms: number): Promise<Buffer> {
    for (;;) {
      try {
        return await this.#channel.unary(path, message, Math.max(1, deadline_ms - performance.now()));
      } catch (error) {
        if (!(error instanceof GrpcError)) throw error;
        if (error.code === GrpcCode.DeadlineExceeded) throw expired(error);
        if (error.mayHaveArrived || error.code !== GrpcCode.Unavailable) throw error;
        if (performance.now() + lookAgain_ms >= deadline_ms) throw expired(error);
        await Bun.sleep(lookAgain_ms);
      }
    }
  }
}

function expired({ code, message }: GrpcError): GrpcError {
  const why = code === GrpcCode.DeadlineExceeded ? "" : `: connection error: ${message}`;
  return new GrpcError(GrpcCode.DeadlineExceeded, `context deadline exceeded${why}`, true);
}
