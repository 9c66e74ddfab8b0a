/** What browsers and installers ask for; clients of the API ask for nothing below it. */
export const isWebPath = (url: string): boolean => /^\/(?:dashboard|install\.sh)(?:[/?]|$)/.test(url);
