import { GrpcChannel } from "#shared/grpc/channel.ts";
import { GrpcError } from "#shared/grpc/grpc-error.ts";
import { socketUrl } from "#shared/grpc/socket-url.ts";
import {
  type Claim,
  ClaimsRequest,
  draMethods,
  draPath,
  type PreparedDevice,
  PrepareResponse,
  UnprepareResponse,
} from "./dra-messages.ts";

/** Upstream's. */
const call_ms = 45_000;
const longestRetry_ms = 60_000;

/** One instance of a driver of dynamic resources. Every call rejects with Error, worded as upstream. */
export class DraDriver {
  readonly #channel: GrpcChannel;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  #connected = true;

  constructor(
    readonly name: string,
    /** Path of the driver's socket. */
    readonly endpoint: string,
    /** The gRPC service that it serves, in full. */
    readonly service: string,
    /** Called when the driver has gone without a word, and when it is there again. */
    readonly onConnection: () => void,
  ) {
    this.#channel = new GrpcChannel({ endpoint: socketUrl(endpoint), connect_ms: 10_000 });
    void this.#watch(1_000);
  }

  /** Does the driver's process hold the connection? */
  get connected(): boolean {
    return this.#connected;
  }

  /** The devices that the claim comes to on this board. Idempotent. */
  async prepare(claim: Claim): Promise<readonly PreparedDevice[]> {
    const { claims } = PrepareResponse.decode(await this.#call("prepare", claim));
    return this.#only("prepare", claims, claim).devices;
  }

  /** Undoes `prepare`. Idempotent. */
  async unprepare(claim: Claim): Promise<void> {
    const { claims } = UnprepareResponse.decode(await this.#call("unprepare", claim));
    this.#only("unprepare", claims, claim);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#channel.close();
  }

  #only<T extends { readonly error: string }>(
    method: keyof typeof draMethods,
    answers: Readonly<Record<string, T>>,
    { uid, name }: Claim,
  ): T {
    const called = draMethods[method];
    const unknown = Object.keys(answers).find((key) => key !== uid);
    if (unknown !== undefined) throw new Error(`${called} returned result for unknown claim UID ${unknown}`);
    const answer = answers[uid];
    if (!answer) throw new Error(`${called} skipped 1 ResourceClaims`);
    if (answer.error !== "") throw new Error(`${called} failed for ResourceClaim ${name}: ${answer.error}`);
    return answer;
  }

  async #call(method: keyof typeof draMethods, claim: Claim): Promise<Buffer> {
    try {
      const request = ClaimsRequest.encode({ claims: [claim] });
      return await this.#channel.unary(draPath(this.service, method), request, call_ms);
    } catch (error) {
      if (error instanceof GrpcError) throw new Error(`${draMethods[method]}: ${error.description}`, { cause: error });
      throw error;
    }
  }

  /** A driver that is killed leaves its socket behind: only the connection tells. */
  async #watch(retry_ms: number): Promise<void> {
    let next_ms = retry_ms;
    try {
      const { ended } = await this.#channel.connection();
      this.#set(true);
      next_ms = 1_000;
      await ended;
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
    }
    if (this.#closed) return;
    this.#set(false);
    this.#retry = setTimeout(() => void this.#watch(Math.min(next_ms * 2, longestRetry_ms)), next_ms);
  }

  #set(connected: boolean): void {
    if (this.#closed || connected === this.#connected) return;
    this.#connected = connected;
    this.onConnection();
  }
}
