# ruff: noqa: E501
"""How each language is read to see whether a program is plain; languages without a row here have patterns only."""

import dataclasses

from xftbench.execution.native.language import Reading
from xftbench.execution.native.words import WORDS

_DOUBLE = r'"(?:\\.|[^"\\\n])*+"'
_SINGLE = r"'(?:\\.|[^'\\\n])*+'"
_CHARACTER = r"'(?:\\[^'\n]{1,10}|\\'|[^'\\\n])'"
_SLASHES = r"//[^\n]*"
_COMMENTS = rf"{_SLASHES}|/\*(?s:.*?)(?:\*/|\Z)"
_HASH = r"(?<![^\s;{}()])#[^\n]*"
_C_LIKE = rf"(?<!\w){_DOUBLE}|{_CHARACTER}"
_DIVISION = r"(?=[ \t]?+[\w(][^\n\"'`/\\]*(?://[^\n\"'`/\\*]*)?$)"
"""What follows a slash that begins no regular expression, as no other ends it on its line."""

_INNER = (
    r"(?:[^/\n\\\"'`\[#@$?]|[#@$?](?!\??\{|\w)|\$\d|\\[^\n\"'`]"
    r"|\[(?:[^\]\n\\\"'`/#@$]|[#@$](?!\{)|\\[^\n\"'`])*+\])*+/"
)
_EXPRESSION = rf"/(?![/*]){_INNER}"
_MATCHED = rf"(?<=[(,=~:!&|;\[])[ \t]?{_EXPRESSION}"
"""A regular expression without code in it, where nothing can be divided."""

_JS = Reading(
    text=f"{_DOUBLE}|{_SINGLE}|{_MATCHED}",
    comment=_COMMENTS,
    kept=rf"(?<=[\w)\]])[ \t]?/{_DIVISION}",
    loose=r"[`/\\]",
    refused=r"<!--|-->",
    odd=r"\\[ux]|\bthis\b|\barguments\b|\)[ \t]*`",
    across="`",
)
_READINGS = {
    "cpp": Reading(
        typed=True,
        text=_C_LIKE,
        comment=_COMMENTS,
        refused=r"\\[ \t]*+\r?\n|\?\?[=/'()!<>-]",
        odd=r"[$@]|[%<]:(?!:)|\b(?:template|extern|union|friend|virtual|inline|volatile|mutable|explicit|static)\b",
    ),
    "java": Reading(typed=True, text=_C_LIKE, comment=_COMMENTS, refused=r"\\u"),
    "rs": Reading(
        text=rf"(?<![\w#])b?{_DOUBLE}|b?{_CHARACTER}|'[a-z_]\w*\b(?!')",
        comment=_COMMENTS,
        odd=r"\br#|\w#|#!\[",
        across='"',
    ),
    "swift": Reading(
        text=r'(?<![\w#])"(?:\\[^(\n]|[^"\\\n])*+"',
        comment=_COMMENTS,
        loose=r'(?<![\w#])"',
        refused=r'"""',
        odd=r"#[\"/]",
        stray=r"[\"'`\\]",
    ),
    "go": Reading(text=rf"{_C_LIKE}|(?<!\w)`[^`\n]*`", comment=_COMMENTS, own=r"^package[ \t]+\w+"),
    "cs": Reading(
        typed=True,
        text=rf"(?<![\w$@]){_DOUBLE}|{_CHARACTER}",
        comment=_COMMENTS,
        loose=r"(?<![\w@])\$\"",
        refused=r'"""|\\[uUx]',
        odd=r"@|^[ \t]*+#",
    ),
    "d": Reading(
        typed=True,
        text=rf"(?<!\w)r\"[^\"\n]*\"|{_C_LIKE}|(?<!\w)`[^`\n]*`",
        comment=_COMMENTS,
        refused=r"/\+",
        odd=r"\bq\{|#|\bextern\b|\b(?:alias|enum|template)\s+\w+\s*\(",
    ),
    "scala": Reading(
        text=rf"{_C_LIKE}|'\w+",
        comment=_COMMENTS,
        loose=r"\b[sf]\"",
        refused=r'"""|\\u',
    ),
    "js": _JS,
    "ts": _JS,
    "php": Reading(
        text=rf"{_SINGLE}|\"(?:\\.|[^\"\\\n{{$]|\{{(?!\$)|\$(?!\{{))*+\"",
        comment=rf"{_COMMENTS}|#[^\n]*",
        loose=r'"',
        refused=r"\?>|<<<",
        odd=r"\$(?:[A-Z_]{2}|\$|\{|this\b)|(?:->|::)[ \t]*[${]|\bnew\s*+\$",
        across="\"'",
        word=r"(?<![\w$])[A-Za-z_]\w*",
    ),
    "rb": Reading(
        text=rf"{_SINGLE}|\"(?:\\.|[^\"\\\n#]|#(?![{{$@]))*+\"|{_MATCHED}",
        comment=_HASH,
        kept=rf"(?<=[\w)\]])[ \t]/(?=[ \t])|(?<=[)\]\d])/(?=\w)|(?<=\w)[ \t]/=|(?<=[\w)\]])/{_DIVISION}",
        loose=r'["/]',
        refused=r"\?[\"'`/#]|^=",
        odd=r"%[qQwWiIrsx]?[^\w\s=]|<<[~\-\"'`A-Z]|@@|\bdef\s+(?:\w+\.|\W)",
        across="\"'/",
    ),
    "lua": Reading(
        text=f"{_DOUBLE}|{_SINGLE}",
        comment=r"--[^\n]*",
        refused=r"\[=*\[",
        odd=r"\b(?:type|i?pairs|next|select|tostring|tonumber|pcall|unpack)\b(?!\s*\()"
        r"|\b(?:string|table|math)(?:\s*\.\s*\w+|\s*\[[^\]\n]{0,80}\])?\s*(?:,[^=\n()]{0,80})?=(?!=)"
        r"|=\s*(?:string|table|math)\s*(?:$|[;,])|\bfunction\s+(?:string|table|math)\b",
    ),
    "r": Reading(text=rf"(?<!\w)(?:{_DOUBLE}|{_SINGLE})", comment=r"#[^\n]*"),
    "jl": Reading(
        text=rf'(?<!\w)"""(?:[^"\\$]|"(?!""))*+"""(?!")|(?<!\w)r{_DOUBLE}(?!")'
        rf'|(?<![\w"])"(?:\\.|[^"\\\n$]|\$(?!\())*+"(?!")|{_CHARACTER}',
        comment=r"#[^\n]*",
        loose=r'(?<![\w"])"(?!")',
        refused=r"#=",
        across='"',
    ),
    "rkt": Reading(
        text=r'#\\(?:[a-z]{2,9}|[^\n])|(?:#[pr]x)?"(?:\\(?s:.)|[^"\\])*+"',
        comment=r";[^\n]*",
        stray=r'[\\|"]',
        refused=r"#\||\|#",
        odd=r"#(?:;|<<|&|reader|~|')",
        word=r"(?<![\w!?*/<>=+.:-])[A-Za-z_][\w!?*/<>=+.:-]*",
        own=r"\((?:define|lambda|\u03bb|let\*?|letrec|for\S{0,20})\s+[^()\[\]]{0,80}[\[(]{0,4}[^()\[\]]{0,200}"
        r"|[(\]][ \t\n]{0,40}\[[^\s()\[\]]{1,80}|\(\([^\s()\[\]]{1,80}|\[\([^()\[\]]{1,80}",
    ),
    "sh": Reading(
        text=r"\$'(?:\\[nt]|[^'\\\n])*+'(?![\w\"'])|(?<![\w\"'\\$])'[^'\n]*'(?![\w\"'])|(?<![\w\"'\\$])\"[^\"$`\\\n]*\"(?![\w\"'])",
        comment=r"(?<![^\s;])#[^\n]*",
        kept=r"(?<![\w\"'\\$])\"(?:\\[^`\n]|\$\(\((?:[^()\"'`\n]|\([^()\"'`\n]*+\))*+\)\)"
        r"|\$\((?!\()(?:\"[^\"`\\\n()]*+\"|'[^'\n()]*+'|[^()\"'`\n])*+\)|\$(?!\()|[^\"`\\\n$])*+\"(?![\w\"'])"
        r"|\\[^\w\"'`\n]",
        refused=r"(?<!<)<<(?!<)",
        odd=r"@[PQEAa]\}|(?:^|;|\b(?:then|do|else)\b|(?<!\|)\|(?!\|))[ \t]*+(?:[.\"]|\$(?!\())"
        r"|[ \t]\]\]?[ \t]*+(?:&&|\|\|)[ \t]*+[\"$]|^(?:(?!\[|\(\()[^\n&|])*+(?:&&|\|\|)[ \t]*+(?:[\"$.])"
        r"|\$\{!(?!\w+\[[@*])|\bdone[ \t]*+<(?![<(])|\b(?:read\w*|mapfile|cat)\b[^\n|;&<]{0,80}<(?![<(])|\$\(<",
        word=r"(?<![\w$-])(?<!\$\{)(?<!\$\{[#!])[A-Za-z_]\w*",
        own=r"\b(?:local|declare|read|for|unset|typeset|mapfile|readarray)\b[^\n;|&]{0,200}|^[ \t]*+\w+[ \t]*\(\)",
    ),
}
READINGS = {name: dataclasses.replace(row, words=WORDS.get(name, "")) for name, row in _READINGS.items()}
