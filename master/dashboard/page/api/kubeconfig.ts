/** What somebody pasted or uploaded to sign in. */
export type Credential =
  | { readonly kind: "token"; readonly token: string }
  /** It holds something that a page cannot sign in with; `why` says what to do. */
  | { readonly kind: "unusable"; readonly why: string };

const tokenPattern = /^[\w-]+\.[\w-]+\.[\w-]+$|^[a-z0-9]{6}\.[a-z0-9]{16}$/;

/** Reads a token, or the kubeconfig of a user who has one: the one of the current context, else the first. */
export function readCredential(text: string): Credential {
  const trimmed = text.trim().replace(/^Bearer\s+/i, "");
  if (trimmed === "") return { kind: "unusable", why: "Paste a token or a kubeconfig first." };
  if (tokenPattern.test(trimmed)) return { kind: "token", token: trimmed };
  if (!/^\s*(?:"?(?:users|clusters|apiVersion)"?)\s*:/m.test(trimmed))
    return {
      kind: "unusable",
      why: "This is neither a token nor a kubeconfig. A token has three parts with dots between.",
    };
  const token = userSection(trimmed).match(/^\s*(?:-\s*)?"?token"?\s*:\s*["']?([^\s"',}]+)/m)?.[1];
  if (token) return { kind: "token", token };
  if (/client-certificate/.test(trimmed))
    return {
      kind: "unusable",
      why: "This kubeconfig holds a client certificate, which a page cannot show to the master. Get a token as said below.",
    };
  return { kind: "unusable", why: "This kubeconfig holds no token. Get one as said below." };
}

/** The part of `users:` that belongs to the current context, as far as the text's shape tells. */
function userSection(text: string): string {
  const value = (pattern: RegExp, from: string): string | undefined => pattern.exec(from)?.[1];
  const context = value(/^current-context:\s*["']?([^\s"']+)/m, text);
  const contexts = text.split(/^contexts:/m)[1]?.split(/^\w/m)[0] ?? "";
  const block = contexts
    .split(/^\s*- /m)
    .find((each) => context !== undefined && value(/^\s*name:\s*["']?([^\s"']+)/m, each) === context);
  const user = block && value(/^\s*user:\s*["']?([^\s"']+)/m, block);
  const users = text.split(/^users:/m)[1]?.split(/^[a-z]/m)[0] ?? text;
  const entries = users.split(/^- /m);
  return entries.find((each) => user !== undefined && value(/^\s*name:\s*["']?([^\s"']+)/m, each) === user) ?? users;
}
