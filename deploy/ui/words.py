"""PURE: every word of the page, in English and Chinese, and the choice between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deploy.ui.upload import BadUpload, Kind


@dataclass(frozen=True, slots=True)
class Words:
    """One language; names in braces are filled in."""

    code: str
    other: str
    other_name: str
    lead: str
    rerank_tab: str
    search_tab: str
    query: str
    query_hint: str
    documents: str
    documents_hint: str
    upload: str
    uploaded: str
    instruction: str
    instruction_hint: str
    no_instruction: str
    named: str
    named_second: str
    second: str
    second_label: str
    examples: str
    rerank: str
    search: str
    top_k: str
    default_instruction: str
    was: str
    was_with_first: str
    same_place: str
    truncated: str
    queue: str
    score: str
    whole: str
    tokens: str
    replicas: str
    cached: str
    more_rows: str
    as_code: str
    results_empty: str
    search_query_hint: str
    search_hint: str
    search_off: str
    search_no_index: str
    search_empty: str
    was_recalled: str
    candidates: str
    stages: tuple[str, str, str, str]
    no_query: str
    no_documents: str
    down: str
    slow: str
    strange: str
    unauthorized: str
    not_found: str
    too_large: str
    over_limit: str
    no_capacity: str
    deadline: str
    invalid: str
    failed: str
    retry: str
    request: str
    no_reason: str
    document_number: str
    at_line: str
    upload_wrong: Mapping[Kind, str]


EN = Words(
    code="en",
    other="zh",
    other_name="中文",
    lead="Ask in one language, find the answer in another.",
    rerank_tab="Rerank",
    search_tab="Search",
    query="Query",
    query_hint="What do you want to know?",
    documents="Documents, one a line",
    documents_hint="One document a line, in any language",
    upload="Files: .jsonl, .csv with a column “text”, .txt",
    uploaded="{count} documents from {file}. Remove the file to type them instead.",
    instruction="Instruction (optional)",
    instruction_hint="What counts as relevant, for example: find code that solves the problem",
    no_instruction="The model that answers takes no instruction: the order stays as it is.",
    named="Named instructions",
    named_second="Named, for the second",
    second="Compare with a second instruction",
    second_label="Second instruction",
    examples="Examples",
    rerank="Rerank",
    search="Search",
    top_k="Results",
    default_instruction="the engine's own",
    was="was {place}",
    was_with_first="{place} with the first",
    same_place="same place",
    truncated="cut to fit",
    queue="waited",
    score="scored",
    whole="in all",
    tokens="tokens",
    replicas="replicas",
    cached="from the cache",
    more_rows="{count} more, with lower scores, are not shown.",
    as_code="The same as a command or a program",
    results_empty="The order appears here.",
    search_query_hint="What do you look for in the indexed folders?",
    search_hint="Finds passages of indexed folders: recalled by vectors or words, then reranked.",
    search_off="Search is not enabled. Set enabled = true under [service.search] in rankguard.toml,"
    " restart, and index a folder: rankguard search index FOLDER",
    search_no_index="Nothing is indexed yet for this model: rankguard search index FOLDER",
    search_empty="Nothing was found.",
    was_recalled="recalled as {place}",
    candidates="candidates",
    stages=("embedded", "recalled", "reranked", "in all"),
    no_query="Type a query first.",
    no_documents="Give at least one document: a line on the right, or a file.",
    down="The service does not answer: nothing listens at its address. Does it run (rankguard up)?",
    slow="The service did not answer in time.",
    strange="What answered is not rankguard; see gateway_url in the [ui] section.",
    unauthorized="The service wants an API key, and this page has none that it knows; see"
    " api_key_file in the [ui] section.",
    not_found="The service has no such path; is it of an older version?",
    too_large="That is more than the service takes at once. Send fewer or shorter documents.",
    over_limit="The service has too much to do, or the key's limit is used up.",
    no_capacity="No replica can take it now ({why}).",
    deadline="The replicas did not finish in time.",
    invalid="{what} is not accepted: {why}.",
    failed="The service failed with status {status}: {why}.",
    retry=" Try again in {seconds} s.",
    request="The request",
    no_reason="no reason given",
    document_number="Document {number}",
    at_line="{file}, line {line}: {what}",
    upload_wrong={
        Kind.SUFFIX: "is none of .jsonl, .csv, .tsv and .txt.",
        Kind.NOT_UTF8: "is not UTF-8: save it as “UTF-8”, in a spreadsheet as “CSV UTF-8”.",
        Kind.TOO_LARGE: "is larger than {mib} MiB.",
        Kind.NOT_JSON: "is not JSON at column {column}.",
        Kind.WRONG_TYPE: "“{field}” must be a string, and is a {found}.",
        Kind.MISSING: "“{field}” is missing.",
        Kind.BLANK: "“{field}” is empty.",
        Kind.NO_COLUMN: "no column “{field}”; name one of these so: {columns}.",
        Kind.FIELDS: "has {found} fields where the header has {wanted}.",
        Kind.NOT_CSV: "is not CSV ({why}).",
        Kind.TOO_MANY: "is document {limit} + 1, and the service takes {limit}.",
        Kind.EMPTY: "holds no document.",
        Kind.GONE: "is not here any more; upload it again.",
    },
)

ZH = Words(
    code="zh",
    other="en",
    other_name="English",
    lead="用一种语言提问，在另一种语言里找到答案。",
    rerank_tab="重排序",
    search_tab="搜索",
    query="查询",
    query_hint="你想知道什么？",
    documents="文档，每行一条",
    documents_hint="每行一条文档，语言不限",
    upload="文件：.jsonl、带 text 列的 .csv、.txt",
    uploaded="来自 {file} 的 {count} 条文档。移除文件后可以手工输入。",
    instruction="指令（可选）",
    instruction_hint="怎样才算相关，例如：找出能解决问题的代码",
    no_instruction="当前模型不使用指令：填写后排序不变。",
    named="已命名的指令",
    named_second="已命名的指令（第二条）",
    second="与第二条指令对比",
    second_label="第二条指令",
    examples="示例",
    rerank="重排序",
    search="搜索",
    top_k="结果数",
    default_instruction="引擎默认",
    was="原第 {place} 位",
    was_with_first="第一条指令下第 {place} 位",
    same_place="位置不变",
    truncated="已截断",
    queue="排队",
    score="打分",
    whole="总计",
    tokens="词元",
    replicas="副本",
    cached="来自缓存",
    more_rows="另有 {count} 条得分更低，未显示。",
    as_code="用命令或程序发出同样的请求",
    results_empty="排序结果显示在这里。",
    search_query_hint="想在已索引的文件夹里找什么？",
    search_hint="在已索引的文件夹中查找段落：先用向量或词语召回，再重排序。",
    search_off="此服务没有启用搜索。请在 rankguard.toml 的 [service.search] 下设置 enabled = true，"
    "重启后索引文件夹：rankguard search index FOLDER",
    search_no_index="当前模型还没有索引：rankguard search index FOLDER",
    search_empty="没有找到结果。",
    was_recalled="召回时第 {place} 位",
    candidates="候选",
    stages=("向量化", "召回", "重排序", "总计"),
    no_query="请先输入查询。",
    no_documents="请至少给出一条文档：在右侧输入一行，或上传文件。",
    down="服务没有响应：该地址上没有程序在监听。请确认 rankguard up 正在运行。",
    slow="服务没有在限定时间内响应。",
    strange="响应的不是 rankguard；请检查 [ui] 中的 gateway_url。",
    unauthorized="服务需要 API 密钥，而本页面没有它认可的密钥；请检查 [ui] 中的 api_key_file。",
    not_found="服务没有这个路径；它的版本是不是较旧？",
    too_large="超过了服务一次能接受的大小。请减少或缩短文档。",
    over_limit="服务过于繁忙，或密钥的限额已用完。",
    no_capacity="目前没有可用的副本（{why}）。",
    deadline="副本没有在限定时间内完成。",
    invalid="{what}未被接受：{why}。",
    failed="服务出错，状态码 {status}：{why}。",
    retry="请在 {seconds} 秒后重试。",
    request="请求",
    no_reason="未说明原因",
    document_number="第 {number} 条文档",
    at_line="{file} 第 {line} 行：{what}",
    upload_wrong={
        Kind.SUFFIX: "不是 .jsonl、.csv、.tsv 或 .txt 文件。",
        Kind.NOT_UTF8: "不是 UTF-8 编码：请另存为 UTF-8，电子表格请选“CSV UTF-8”。",
        Kind.TOO_LARGE: "超过 {mib} MiB。",
        Kind.NOT_JSON: "第 {column} 列处不是 JSON。",
        Kind.WRONG_TYPE: "字段“{field}”必须是字符串，现在是 {found}。",
        Kind.MISSING: "缺少字段“{field}”。",
        Kind.BLANK: "字段“{field}”为空。",
        Kind.NO_COLUMN: "没有“{field}”列；请把其中一列改名为“{field}”：{columns}。",
        Kind.FIELDS: "有 {found} 个字段，而表头有 {wanted} 个。",
        Kind.NOT_CSV: "不是 CSV（{why}）。",
        Kind.TOO_MANY: "是第 {limit} + 1 条文档，服务最多接受 {limit} 条。",
        Kind.EMPTY: "里面没有文档。",
        Kind.GONE: "已不在这里；请重新上传。",
    },
)

LANGUAGES: Mapping[str, Words] = {words.code: words for words in (EN, ZH)}


def choose(accept_language: str) -> Words:
    """The language that a browser's `Accept-Language` wants most; English for all we lack."""
    wanted: list[tuple[float, str]] = []
    for part in accept_language.split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            wanted.append((float(weight) if weight else 1.0, tag.lower()))
        except ValueError:
            continue
    for _, tag in sorted(wanted, key=lambda item: -item[0]):
        found = LANGUAGES.get(tag.partition("-")[0])
        if found is not None:
            return found
    return EN


def upload_sentence(problem: BadUpload, words: Words) -> str:
    """What is wrong with an uploaded file, where, in one sentence."""
    what = words.upload_wrong[problem.kind].format(**problem.detail)
    if problem.line == 0:
        return f"{problem.file} {what}"
    return words.at_line.format(file=problem.file, line=problem.line, what=what)
