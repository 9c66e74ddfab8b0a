import { StatusError } from "#shared/api/errors.ts";
import type { Connections } from "#shared/http/connections.ts";
import { RushOfRequests } from "#shared/process/compiling.ts";
import type { AuditRecord } from "../audit/record.ts";
import { anonymousUser } from "../authn/chain.ts";
import { isLongRunning } from "../discovery/metrics.ts";
import type { Exchange } from "../registry/subresource-handler.ts";
import type { ApiResponse, RequestInfo, User } from "../request.ts";
import type { ApiServer } from "../server.ts";
import type { ApiRequest } from "../server-parts.ts";
import type { RequestSpan } from "../tracing/request-tracer.ts";
import { acceptedBy, packingFor, sendStatus, setWarnings, wantsPretty } from "./answer.ts";
import type { Arrival, HttpRequest, HttpResponse } from "./arrival.ts";
import type { Entrance } from "./entrance.ts";
import { negotiate } from "./negotiate.ts";
import { render, sizeOfParts } from "./render.ts";
import { ArrivingBody } from "./request-body.ts";
import { requestInfoOf } from "./request-info.ts";
import { type RequestRules, usualRequestRules } from "./request-rules.ts";
import { splitUrl } from "./split-url.ts";
import { UserTurns } from "./user-turns.ts";
import { isWebPath } from "./web-paths.ts";

/** A request on its way through the service. */
interface Visit {
  readonly info: RequestInfo;
  /** It is to be answered within a time; watches and connections last. */
  readonly isLimited: boolean;
  /** Aborted once nobody waits for the answer any more. */
  readonly gone: AbortController;
  /** Once it is known who asks. */
  audit: AuditRecord | undefined;
  /** Where it is traced. */
  span: RequestSpan | undefined;
  body_bytes: number;
}

type Asked = ApiRequest & { readonly body: ArrivingBody };

/** Answers requests: who asks, whose turn it is, what the API server says to it, and in which form the client gets it. */
export class RequestService {
  readonly #server: ApiServer;
  readonly #connections: Connections;
  readonly #entrance: Entrance;
  readonly #rush = new RushOfRequests();
  readonly #turns = new UserTurns();
  #underWay = 0;

  constructor(
    server: ApiServer,
    connections: Connections,
    entrance: Entrance,
    private readonly rules: RequestRules = usualRequestRules,
  ) {
    this.#server = server;
    this.#connections = connections;
    this.#entrance = entrance;
  }

  /** Requests that are not answered yet; those that last, such as watches, left out. */
  get underWay(): number {
    return this.#underWay;
  }

  /** Resolves when nothing of the request goes on any more; never rejects. */
  async serve(arrival: Arrival): Promise<void> {
    try {
      await this.#serve(arrival);
    } catch (error) {
      this.#fail(arrival, error);
    }
  }

  async #serve(arrival: Arrival): Promise<void> {
    const { request, response, connection } = arrival;
    this.#connections.requestBegan(connection);
    if (this.rules.tellBrowser?.(arrival)) {
      this.#connections.requestEnded(connection);
      return;
    }
    if (this.rules.goawayChance > 0 && Math.random() < this.rules.goawayChance) arrival.retire?.();
    const { info, query } = targetOf(request, response);
    const { metrics, tracer } = this.#server;
    const came_ms = tracer ? performance.now() : 0;
    const visit: Visit = {
      info,
      isLimited: !isLongRunning(info),
      gone: new AbortController(),
      audit: undefined,
      span: undefined,
      body_bytes: 0,
    };
    this.#endWithResponse(arrival, visit);
    const caller = { request, connection, info };
    const { headers, auditId } = this.#entrance.namesOf(caller);
    response.setHeader("audit-id", auditId);
    const limit_ms = visit.isLimited ? this.#entrance.limited(caller, query, headers, auditId) : undefined;
    const warnings: string[] = [];
    const admitted = await this.#entrance.admit(caller, headers, auditId, warnings).catch((error: unknown) => {
      setWarnings(response, warnings);
      arrival.retire?.();
      throw error;
    });
    // Whoever says not who it is gets one turn by HTTP/2: upstream's UnauthenticatedHTTP2DOSMitigation, which knows no pages of the
    // web. A browser loads their files before anybody signed in, and takes the end of a connection for a failure.
    if (admitted.user.name === anonymousUser.name && !isWebPath(info.path)) arrival.retire?.();
    visit.audit = admitted.audit;
    const { method, url } = request;
    visit.span = tracer?.begin({ method, url, headers, connection, info, user: admitted.user, auditId, came_ms });
    const asked: Asked = {
      method: request.method,
      info,
      query,
      headers,
      body: new ArrivingBody(request, (bytes) => {
        visit.body_bytes = bytes;
        metrics.bodyArrived(info, bytes);
      }),
      signal: visit.gone.signal,
      deadline_ms: limit_ms === undefined ? undefined : performance.now() + limit_ms,
      warnings,
      remoteAddress: connection.remoteAddress,
      audit: admitted.audit,
      span: visit.span,
    };
    await this.#inTime(arrival, visit, asked, limit_ms, () => this.#inTurn(arrival, visit, asked, admitted.user));
  }

  /** What is measured, recorded and stopped as the response closes, answered or not. */
  #endWithResponse({ request, response, connection }: Arrival, visit: Visit): void {
    const done = this.#server.metrics.begin(visit.info, request.headers["content-type"]);
    let ended = false;
    response.on("close", () => {
      if (ended) return;
      ended = true;
      // Whoever was answered whole has nothing more to stop.
      if (!response.writableFinished || !visit.isLimited) visit.gone.abort();
      done(response.statusCode, sizeOf(response));
      visit.audit?.complete(response.statusCode);
      visit.span?.end({
        code: response.statusCode,
        requestBody_bytes: visit.body_bytes,
        responseBody_bytes: response.body_bytes ?? sizeOf(response) ?? 0,
      });
      this.#connections.requestEnded(connection);
    });
  }

  /** Answers in place of `work` where that takes longer than the request may, and lets go of its body in the end. */
  async #inTime(
    arrival: Arrival,
    { isLimited, gone }: Visit,
    { body }: Asked,
    limit_ms: number | undefined,
    work: () => Promise<void>,
  ): Promise<void> {
    const { response } = arrival;
    const answerLate = (): void => {
      if (!this.#answerLate(response)) return;
      gone.abort();
      body.giveUp();
    };
    const late = limit_ms === undefined ? undefined : setTimeout(answerLate, limit_ms);
    this.#underWay += isLimited ? 1 : 0;
    if (isLimited) this.#rush.requestBegan(this.#underWay);
    try {
      await work();
    } finally {
      clearTimeout(late);
      body.release();
      if (response.writableEnded) this.#connections.awaitReader(arrival);
      this.#underWay -= isLimited ? 1 : 0;
    }
  }

  /** Answers once it is the request's turn. */
  async #inTurn(arrival: Arrival, { isLimited, audit, span }: Visit, asked: Asked, user: User): Promise<void> {
    if (audit?.isAwaited) {
      await audit.begun();
      // Nobody waits for the answer any more, or it was told that this takes too long.
      if (asked.signal.aborted) return;
    }
    span?.waits();
    const turn = this.#turns.take(user.name);
    if (turn) {
      await turn;
      if (asked.signal.aborted) return;
    }
    let leave: (() => void) | undefined;
    try {
      const acting = this.#server.actorOf(asked, user);
      const actor = acting instanceof Promise ? await acting : acting;
      leave = await this.#enter(asked, actor, arrival.response);
      span?.entered();
      await this.#answer(arrival, asked, actor, isLimited ? undefined : leave);
    } catch (error) {
      const status = this.#entrance.statusOf(error, arrival.request);
      audit?.failed(status);
      if (!isLimited) audit?.started(status.code);
      if (audit?.isAwaited) await audit.answering(status.code, { lasts: !isLimited });
      throw status;
    } finally {
      span?.workEnds();
      leave?.();
    }
  }

  /** Waits for the request's turn by the cluster's flow schemas. Connections that last are let through; a watch counts until
   *  its first event can be sent. */
  async #enter(
    { info, query, signal }: Pick<ApiRequest, "info" | "query" | "signal">,
    user: User,
    response: HttpResponse,
  ): Promise<() => void> {
    if (isLongRunning(info) && info.verb !== "watch") return () => undefined;
    const { gate } = this.#server;
    const entering = gate.enter(user, info, this.#server.widthOf(info, query), signal);
    const passage = entering instanceof Promise ? await entering : entering;
    response.setHeader("x-kubernetes-pf-flowschema-uid", passage.flowSchemaUid);
    response.setHeader("x-kubernetes-pf-prioritylevel-uid", passage.priorityLevelUid);
    return passage.leave;
  }

  /** An answer that has begun may take as long as the client reads; one that has not is given up, which is true then. */
  #answerLate(response: HttpResponse): boolean {
    if (response.headersSent) return false;
    const message = "Timeout: request did not complete within the allotted timeout";
    const error = new StatusError("Timeout", message, { hasDetails: true });
    // As upstream's filter writes it: a Status without its kind, which clients take for text. What they say then is that the
    // request may still be worked on, which is the truth.
    const { kind: _, apiVersion: __, ...nameless } = error.toStatus();
    const plainText = `${JSON.stringify(nameless)}\n`;
    sendStatus(response, new StatusError("Timeout", message, { plainText }));
    return true;
  }

  async #answer(
    { request, response, connection }: Arrival,
    asked: ApiRequest,
    user: User,
    isHandled: (() => void) | undefined,
  ): Promise<void> {
    const { info, query, headers, warnings, audit } = asked;
    const exchange: Exchange = { kind: "request", request, response };
    const answer = await this.#server.handle(asked, user, exchange).catch((error: unknown) => {
      // What was found odd is told of a refused request too.
      if (!response.headersSent) setWarnings(response, warnings);
      throw error;
    });
    isHandled?.();
    if (answer !== "handled") audit?.answered(answer);
    const lasts = isLongRunning(info);
    if (lasts) audit?.started(answer === "handled" ? response.statusCode : codeOf(answer));
    if (answer === "handled" || response.headersSent) return;
    if (audit?.isAwaited) {
      await audit.answering(codeOf(answer), { lasts });
      // It took too long, and the client was told so.
      if (response.headersSent || response.destroyed) return;
    }
    setWarnings(response, warnings);
    response.setHeader("cache-control", "no-cache, private");
    const accepted = answer.kind === "bytes" ? negotiate(undefined) : acceptedBy(headers["accept"]);
    await render(response, answer, {
      accepted,
      packing: packingFor(headers["accept-encoding"], connection),
      pretty: wantsPretty(query, headers["user-agent"], accepted.pretty),
    });
  }

  #fail({ request, response }: Arrival, error: unknown): void {
    const status = this.#entrance.statusOf(error, request);
    // It was told that this takes too long.
    if (response.writableEnded) return;
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const { accept, "user-agent": userAgent } = request.headers;
    const accepted = acceptedBy(accept);
    sendStatus(response, status, {
      accepted,
      pretty: wantsPretty(splitUrl(request.url).query, userAgent, accepted.pretty),
    });
  }
}

/** Bytes of an answer's body as it was sent; undefined where nobody knows. */
function sizeOf(response: HttpResponse): number | undefined {
  const announced = response.getHeader("content-length");
  return announced === undefined ? sizeOfParts(response) : Number(announced);
}

const codeOf = (answer: ApiResponse): number => (answer.kind === "watch" ? 200 : answer.code);

/** What a request is for; the connection of one whose path is no path is closed. */
function targetOf(request: HttpRequest, response: HttpResponse): { info: RequestInfo; query: URLSearchParams } {
  const { path, query } = splitUrl(request.url);
  try {
    return { info: requestInfoOf(request.method, path, query), query };
  } catch (error) {
    response.setHeader("connection", "close");
    throw error;
  }
}
