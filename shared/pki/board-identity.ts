import { createPrivateKey } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { hasReason, isConflict } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import { type Client, ConnectionError } from "#shared/client/client.ts";
import type { Clock } from "#shared/client/clock.ts";
import type { Credentials } from "#shared/client/http-transport.ts";
import { type Log, silentLog } from "#shared/client/log.ts";
import { readIfPresent } from "../files/if-present.ts";
import { writeSecureFile } from "../files/secure-file.ts";
import { askForName, fetchTrust, type JoinedBoard, joinCluster, nodeSubject, renewExpired } from "./board-join.ts";
import type { KeyAndCertificate } from "./certificate.ts";
import { bundleFingerprints, splitCertificates } from "./certificate-bundle.ts";
import {
  certificateFingerprint,
  certificateSubject,
  isIssuedBy,
  parseCertificate,
  renewalTime,
} from "./certificate-facts.ts";
import { orderCertificate } from "./certificate-order.ts";
import { type BoardFile, loadBoard, storeBoard, storeTrust } from "./identity-files.ts";
import { apiServerName } from "./join-protocol.ts";
import { parseJoinToken } from "./join-token.ts";
import { joinPem, splitPem } from "./pem.ts";
import { kubeletClientUsages, kubeletServingUsages, signerNames } from "./signers.ts";

export interface BoardIdentityOptions {
  /** Where the identity is kept: ca.crt, client.pem, serving.pem, board.json. */
  readonly folder: string;
  readonly servers: readonly string[];
  /** Needed for the first start, when the card was copied, and when the certificate ran out long ago. */
  readonly token?: string | undefined;
  readonly hostName: string;
  readonly boardSerial: string;
  readonly log?: Log | undefined;
  readonly clock?: Clock | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A board that may not or cannot join; the message says what to do. */
export class BoardIdentityError extends Error {
  override readonly name = "BoardIdentityError";
}

/** In the identity's folder: `bramble certificate renew` makes it, the agent takes it away when it has renewed. */
export const renewalMarkFile = "renew-now";

/** A board that was a node before does not let its pods wait longer for a master that says nothing. */
const patience_ms = 1_000;

/** Who a board is: its node's name and its certificates, kept in files (identity-files.ts) so that it starts with the master gone. */
export class BoardIdentity {
  #credentials: Credentials;
  #isConfirmed = true;

  private constructor(
    private readonly options: BoardIdentityOptions,
    private board: BoardFile,
    private trusted: string,
    private client: KeyAndCertificate,
  ) {
    this.#credentials = credentialsOf(trusted, client);
  }

  get nodeName(): string {
    return this.board.nodeName;
  }

  /** What the master says of the cluster. */
  get settings(): Readonly<Record<string, string>> {
    return this.board.settings;
  }

  /** The authorities that the board trusts, PEM; the first signs. */
  get caCertificatePem(): string {
    return this.trusted;
  }

  /** Names the cluster, also when its authority has been rotated. */
  get clusterId(): string {
    return this.board.authorities?.[0] ?? certificateFingerprint(this.trusted);
  }

  /** The fingerprint of the authority that signed the board's certificate, if the board still trusts it. */
  get issuer(): string | undefined {
    const authority = splitCertificates(this.trusted).find((pem) => isIssuedBy(this.client.certificatePem, pem));
    return authority && certificateFingerprint(authority);
  }

  /**
   * Loads the board's identity, or joins the cluster for one. Neither a master that cannot be reached nor a certificate
   * that has run out is a hindrance to a board that has joined before. A board that runs from a copy of another board's card
   * joins anew under its own name.
   */
  static async ensure(options: BoardIdentityOptions): Promise<BoardIdentity> {
    const log = options.log ?? silentLog;
    const stored = await loadBoard(options, log);
    if (stored === undefined) return BoardIdentity.#join(options, "this board has not joined a cluster yet");
    if (stored === "copied") {
      log.warn("this card was copied from another board: joining under a name of its own");
      return BoardIdentity.#join(options, "this card was copied from another board, whose identity it must not use");
    }
    if (stored === "damaged") {
      log.error("this board's certificates are damaged on its card: joining anew", { folder: options.folder });
      return BoardIdentity.#join(options, `the certificates in ${options.folder} are damaged`);
    }
    const { board, caCertificatePem, client } = stored;
    if (isOfOtherCluster(options.token, [...(board.authorities ?? []), ...bundleFingerprints(caCertificatePem)])) {
      log.warn("the join token is of another cluster than this board was in: joining that one");
      return BoardIdentity.#join(options, "the join token is of another cluster");
    }
    const identity = new BoardIdentity(options, board, caCertificatePem, client);
    try {
      return await identity.#confirmed();
    } catch (error) {
      if (isConflict(error)) {
        log.warn("another board has this node's name: joining under a name of its own", { error });
        return BoardIdentity.#join(options, messageOf(error));
      }
      options.signal?.throwIfAborted();
      // Whatever is wrong with the master or the certificate: this board's pods must run. The agent goes on trying.
      if (error instanceof ConnectionError) log.info("no master can be reached: going on as before", { error });
      else log.error("the master does not take this board in: going on as before", { error });
      identity.#isConfirmed = false;
      return identity;
    }
  }

  /** Keeps an identity that was made on this board, unless it has one of its own: the next `ensure` finds it. */
  static async provide(options: {
    readonly folder: string;
    readonly boardSerial: string;
    readonly joined: () => Promise<JoinedBoard>;
  }): Promise<void> {
    const stored = await loadBoard(options, silentLog);
    if (stored !== undefined && typeof stored !== "string") return;
    await BoardIdentity.#keep({ ...options, servers: [], hostName: "" }, await options.joined());
  }

  /** As the master says now; with a certificate that it accepts. */
  async #confirmed(): Promise<BoardIdentity> {
    const { options } = this;
    const ask = async (): Promise<BoardIdentity> => {
      const answer = await askForName(options.servers, this.#credentials, options, patience_ms);
      const { trusted: caCertificatePem, client, board } = this;
      return BoardIdentity.#keep(options, { ...answer, caCertificatePem, client }, board.authorities);
    };
    try {
      if (!this.#hasRunOut) return await ask();
    } catch (error) {
      if (!isNobody(error)) throw error;
    }
    await this.#renewByKey();
    return ask();
  }

  static async #join(options: BoardIdentityOptions, why: string): Promise<BoardIdentity> {
    const { token } = options;
    if (!token)
      throw new BoardIdentityError(
        `${why}, and no join token is given: a board forgets the one that it joined by. Run \`bramble token create\` on the master, ` +
          "and on this board `bramble worker --token TOKEN`, or install.sh with BRAMBLE_TOKEN=TOKEN",
      );
    return BoardIdentity.#keep(options, await joinCluster({ ...options, token }));
  }

  static async #keep(
    options: BoardIdentityOptions,
    joined: JoinedBoard,
    before: readonly string[] = [],
  ): Promise<BoardIdentity> {
    const { folder, boardSerial } = options;
    const { nodeName, settings, caCertificatePem, client } = joined;
    const authorities = [...new Set([...before, ...bundleFingerprints(caCertificatePem)])];
    const board: BoardFile = { nodeName, boardSerial, settings, authorities };
    await storeBoard(folder, { board, caCertificatePem, client });
    return new BoardIdentity(options, board, caCertificatePem, client);
  }

  /** A master has answered at this start. */
  get isConfirmed(): boolean {
    return this.#isConfirmed;
  }

  /** For HttpClient and the MQTT client; another object after a renewal. */
  readonly credentials = (): Credentials => this.#credentials;

  /** A file that asks for renewal before its time, as long as it is there. */
  get renewalMark(): string {
    return join(this.options.folder, renewalMarkFile);
  }

  /** The next servingCertificate() is a new one. */
  async forgetServing(): Promise<void> {
    await rm(join(this.options.folder, "serving.pem"), { force: true });
  }

  /** When `renew` should be called: at once, if the cluster signs by another authority now. */
  get renewAt(): Date {
    return isIssuedBy(this.client.certificatePem, this.trusted) ? renewalTime(this.client.certificatePem) : new Date(0);
  }

  /** Takes over the authorities that the cluster trusts now. The master proves itself by one that the board trusts; one that
   *  signs by a newer authority shows a certificate of that by the older (crossCertify), however long the board was away. */
  async refreshTrust(): Promise<void> {
    const { folder, servers, signal } = this.options;
    const pem = await fetchTrust(servers, { ca: this.trusted }, signal);
    if (pem === this.trusted) return;
    const authorities = [...new Set([this.clusterId, ...(this.board.authorities ?? []), ...bundleFingerprints(pem)])];
    this.board = { ...this.board, authorities };
    await storeTrust(folder, { board: this.board, caCertificatePem: pem, client: this.client });
    this.trusted = pem;
    this.#credentials = credentialsOf(pem, this.client);
  }

  /** Gets a new client certificate by the old one, and keeps it. One that has run out does for this alone, for a while
   *  (renewal-protocol.ts); after that it takes a join token, if the board has one. */
  async renew(client: Client): Promise<void> {
    const { signal, clock } = this.options;
    try {
      if (this.#hasRunOut) return await this.#renewByKey();
      const ordered = await orderCertificate(client, {
        signer: signerNames.kubeletClient,
        usages: kubeletClientUsages,
        subject: nodeSubject(this.nodeName),
        namePrefix: `board-${this.nodeName}`,
        signal,
        clock,
      });
      await this.#use(ordered);
    } catch (error) {
      if (!isNobody(error)) throw error;
      await this.#renewByKey();
    }
  }

  get #hasRunOut(): boolean {
    const now_ms = this.options.clock?.wall_ms() ?? Date.now();
    return parseCertificate(this.client.certificatePem).notAfter.getTime() <= now_ms;
  }

  async #renewByKey(): Promise<void> {
    const { options, nodeName } = this;
    const { servers, token, boardSerial, signal } = options;
    const log = options.log ?? silentLog;
    log.warn("the board's certificate has run out while it was away: asking for another by its key");
    try {
      await this.#use(
        await renewExpired({ servers, old: this.client, ca: this.trusted, nodeName, boardSerial, signal }),
      );
    } catch (error) {
      if (!token || error instanceof ConnectionError) throw error;
      log.warn("the certificate is not renewed by its key: joining anew by the token", { error });
      const joined = await joinCluster({ ...options, token });
      if (joined.nodeName !== nodeName)
        throw new BoardIdentityError(
          `the cluster calls this board ${joined.nodeName} now, not ${nodeName}: run \`bramble worker leave\`, then start it again`,
        );
      await this.#use(joined.client);
    }
  }

  async #use(client: KeyAndCertificate): Promise<void> {
    this.client = client;
    await storeBoard(this.options.folder, { board: this.board, caCertificatePem: this.trusted, client });
    this.#credentials = credentialsOf(this.trusted, client);
  }

  /** The kubelet's serving certificate for these addresses: the one on disk while it fits, else a new one. The Node must
   *  have the addresses in its status, or the request waits for somebody to approve it. */
  async servingCertificate(
    client: Client,
    addresses: { readonly hostNames: readonly string[]; readonly ips: readonly string[] },
    now: Date = new Date(),
  ): Promise<KeyAndCertificate> {
    const path = join(this.options.folder, "serving.pem");
    const stored = await readIfPresent(path);
    const present = stored === undefined ? undefined : splitPem(stored);
    if (present && this.#serves(present, addresses, now)) return present;
    const made = await orderCertificate(client, {
      signer: signerNames.kubeletServing,
      usages: kubeletServingUsages,
      subject: { ...nodeSubject(this.nodeName), dnsNames: addresses.hostNames, ipAddresses: addresses.ips },
      namePrefix: `serving-${this.nodeName}`,
      signal: this.options.signal,
      clock: this.options.clock,
    });
    await writeSecureFile(path, joinPem(made));
    return made;
  }

  #serves(
    { certificatePem, keyPem }: KeyAndCertificate,
    addresses: { readonly hostNames: readonly string[]; readonly ips: readonly string[] },
    now: Date,
  ): boolean {
    let subject: ReturnType<typeof certificateSubject>;
    try {
      createPrivateKey(keyPem);
      subject = certificateSubject(certificatePem);
    } catch {
      // Damaged on the card: another is ordered.
      return false;
    }
    const { commonName, dnsNames, ipAddresses } = subject;
    return (
      commonName === nodeSubject(this.nodeName).commonName &&
      isIssuedBy(certificatePem, this.trusted) &&
      renewalTime(certificatePem) > now &&
      addresses.hostNames.every((name) => dnsNames.includes(name)) &&
      addresses.ips.every((ip) => ipAddresses.includes(ip))
    );
  }
}

/** The master does not know this board by its certificate: by the master's clock it has run out. */
const isNobody = (error: unknown): boolean => hasReason(error, "Unauthorized") || hasReason(error, "Forbidden");

const isOfOtherCluster = (token: string | undefined, authorities: readonly string[]): boolean =>
  Boolean(token) && !authorities.includes(parseJoinToken(token ?? "").caHash);

const credentialsOf = (ca: string, { certificatePem, keyPem }: KeyAndCertificate): Credentials => ({
  ca,
  certificate: certificatePem,
  key: keyPem,
  serverName: apiServerName,
});
