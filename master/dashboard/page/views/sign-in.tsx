import { useState } from "preact/hooks";
import { ApiError, explain, request } from "../api/request.ts";
import { signIn } from "../api/session.ts";
import { useTitle } from "../parts/hooks.ts";
import { Icon, Logo } from "../parts/icons.tsx";

const largest_bytes = 1024 * 1024;

/** The only thing that is seen without a token. */
export function SignIn({ reason, done }: { readonly reason: string | undefined; done(): void }) {
  useTitle("Sign in");
  const [text, setText] = useState("");
  const [fault, setFault] = useState(reason ?? "");
  const [busy, setBusy] = useState(false);
  const enter = async (given: string): Promise<void> => {
    setBusy(true);
    setFault("");
    const why = await faultOfEntry(given);
    if (why === undefined) return done();
    setFault(why);
    setBusy(false);
  };
  const upload = async (input: HTMLInputElement): Promise<void> => {
    const file = input.files?.[0];
    if (file && file.size > largest_bytes) setFault("This file is too large for a kubeconfig.");
    else if (file) await enter(await file.text());
    input.value = "";
  };
  return (
    <main class="sign-in">
      <div class="card">
        <h1>
          <Logo /> Bramble
        </h1>
        <p class="lead">Sign in to this cluster with a token. You see and do what your rights allow.</p>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void enter(text);
          }}
        >
          <label class="field">
            <span>Token, or a kubeconfig that holds one</span>
            <textarea
              rows={4}
              spellcheck={false}
              autocomplete="off"
              autocapitalize="none"
              aria-describedby={fault ? "sign-in-fault" : undefined}
              aria-invalid={fault !== ""}
              value={text}
              onInput={(event) => setText(event.currentTarget.value)}
            />
          </label>
          {fault && (
            <p class="fault-line" id="sign-in-fault" role="alert">
              <Icon name="alert" /> {fault}
            </p>
          )}
          <div class="row">
            <button type="submit" class="primary" disabled={busy}>
              {busy ? "Signing in…" : "Sign in"}
            </button>
            <label class="button">
              Open a kubeconfig…
              <input type="file" class="hidden" onChange={(event) => void upload(event.currentTarget)} />
            </label>
          </div>
        </form>
        <Hints />
      </div>
    </main>
  );
}

function Hints() {
  return (
    <>
      <hr />
      <h2>How to get a token</h2>
      <p>As administrator, on the master:</p>
      <pre>sudo bramble token dashboard</pre>
      <p>From anywhere with kubectl, for a ServiceAccount whose rights you choose:</p>
      <pre>kubectl create token NAME --namespace NAMESPACE</pre>
      <p class="faint">
        A kubeconfig is read in this browser and sent nowhere. The token stays in this tab and is forgotten when you
        close it.
      </p>
    </>
  );
}

/** Signs in by what somebody gave. Gives why that cannot be, in words; undefined once it is done. */
async function faultOfEntry(given: string): Promise<string | undefined> {
  try {
    // It reads YAML, which is large.
    const { readCredential } = await import("../api/kubeconfig.ts");
    const credential = readCredential(given);
    if (credential.kind === "unusable") return credential.why;
    await whoIs(credential.token);
    signIn(credential.token);
    return undefined;
  } catch (error) {
    const isUnknown = error instanceof ApiError && error.code === 401;
    return isUnknown ? "The master does not accept this token. It may have expired; get a new one." : explain(error);
  }
}

/** The name behind a token. Throws ApiError. */
export async function whoIs(token?: string): Promise<string> {
  const answer = await request("/apis/authentication.k8s.io/v1/selfsubjectreviews", {
    method: "POST",
    contentType: "application/json",
    body: JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" }),
    ...(token === undefined ? {} : { token }),
  });
  const { status } = (await answer.json()) as { status?: { userInfo?: { username?: string } } };
  return status?.userInfo?.username ?? "";
}
