"""PURE: every word that people read, in English and Chinese, and how to replace one."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

Phrases = Mapping[str, str]
"""`title.<Name>`, `next.<Name>`, `label.<part>`, `status.<word>` and a few sentences."""

ENGLISH: Phrases = {
    "status.critical": "CRITICAL",
    "status.warning": "WARNING",
    "status.info": "INFO",
    "status.resolved": "RESOLVED",
    "status.acknowledged": "ACKNOWLEDGED",
    "status.digest": "DIGEST",
    "status.test": "TEST",
    "label.what": "What",
    "label.where": "Where",
    "label.since": "Since",
    "label.seen": "Seen",
    "label.did": "Done",
    "label.next": "Next",
    "label.also": "Also",
    "label.note": "Note",
    "label.runbook": "Runbook",
    "label.dashboard": "Dashboard",
    "label.incident": "Incident",
    "word.nothing_done": "nothing yet",
    "word.lasted": "lasted {duration}",
    "word.more": "and {count} more",
    "word.replica": "{name}",
    "word.digest": "{count} alerts, {firing} still firing",
    "word.firing": "firing",
    "note.late": "these could not be sent in time",
    "note.stands_in": "sent here because {name} cannot be reached",
    "note.test": "a test: nothing is wrong",
    "note.memory": "the journal cannot be written; alerts are kept in memory only",
    "unit.d": "{n} d",
    "unit.h": "{n} h",
    "unit.min": "{n} min",
    "unit.s": "{n} s",
    "title.ReplicaDead": "Replica dead",
    "next.ReplicaDead": "Nothing if the restart worked; if it comes back, read the last log lines.",
    "title.ReplicaHung": "Replica hung",
    "next.ReplicaHung": "Look at the evidence saved before the kill; check the GPU for an XID.",
    "title.ReplicaWrong": "Replica returns wrong scores",
    "next.ReplicaWrong": "Keep it out of rotation; compare model files and versions.",
    "title.ReplicaCrashLoop": "Replica crashes over and over",
    "next.ReplicaCrashLoop": "Read the earliest error in its log; restarts are paused.",
    "title.ReplicaStartFailed": "Replica cannot start",
    "next.ReplicaStartFailed": "Run `rankguard doctor`; the reason above names what is missing.",
    "title.ReplicaDegraded": "Replica slow or failing in part",
    "next.ReplicaDegraded": "Compare its latency with the other replicas; look at load and clocks.",
    "title.ReplicaLeaking": "Replica's memory grows",
    "next.ReplicaLeaking": "Plan a restart: `rankguard replica restart`.",
    "title.GpuLost": "GPU lost",
    "next.GpuLost": "The host needs a reboot, perhaps a reseat; cordon the GPU until then.",
    "title.GpuResetRequired": "GPU needs a reset",
    "next.GpuResetRequired": "Free the card, then reset it: `nvidia-smi --gpu-reset -i …`.",
    "title.GpuXid": "GPU reports XID errors",
    "next.GpuXid": "Look the XID up in the runbook; the number decides.",
    "title.GpuEcc": "GPU memory errors (ECC)",
    "next.GpuEcc": "Uncorrectable: drain and reset. Correctable and growing: plan a replacement.",
    "title.GpuRowRemapFailed": "GPU row remapping failed",
    "next.GpuRowRemapFailed": "The card has worn out its spare rows: replace it.",
    "title.GpuThermal": "GPU too hot",
    "next.GpuThermal": "Check fans, air flow and room temperature.",
    "title.GpuMemoryHeldByStranger": "GPU memory held by another process",
    "next.GpuMemoryHeldByStranger": "Find it with `nvidia-smi`; end it or move the replica.",
    "title.HostStarved": "Host starved of CPU or memory",
    "next.HostStarved": "Find what else runs on the host; the replicas are victims, not causes.",
    "title.HostDiskFull": "Host's disk full",
    "next.HostDiskFull": "Free space: old logs and model caches first.",
    "title.StateDiskFull": "State directory cannot be written",
    "next.StateDiskFull": "Free space there, or mount it writable: who starts gets no work.",
    "title.HostOomKill": "Host's kernel killed a process for memory",
    "next.HostOomKill": "Find what grew; lower the replicas' memory or move other work away.",
    "title.PoisonRequest": "Requests that end engines are refused",
    "next.PoisonRequest": "The gateway's log names the request; look at its texts.",
    "title.DriverUnavailable": "NVIDIA driver unavailable",
    "next.DriverUnavailable": "Run `nvidia-smi`; after a driver update the host needs a reboot.",
    "title.WatchdogConfigInvalid": "Watchdog's new configuration is invalid",
    "next.WatchdogConfigInvalid": "Run `rankguard config check`; the old one is in force.",
    "title.RolloutFailed": "Rolling restart failed",
    "next.RolloutFailed": "Run `rankguard upgrade --status`: it says which version serves.",
    "title.AlertDeliveryFailing": "Alerts cannot be delivered",
    "next.AlertDeliveryFailing": "Run `rankguard alerts outbox` and `rankguard alerts test`.",
    "title.Watchdog": "Watchdog is alive",
    "next.Watchdog": "Nothing: this alert always fires. Worry when it stops.",
    "title.Flapping": "Alert flaps",
    "next.Flapping": "Find why it keeps changing; single changes are not told until it is steady.",
}

CHINESE: Phrases = {
    "status.critical": "严重",
    "status.warning": "警告",
    "status.info": "信息",
    "status.resolved": "已恢复",
    "status.acknowledged": "已认领",
    "status.digest": "汇总",
    "status.test": "测试",
    "label.what": "现象",
    "label.where": "位置",
    "label.since": "开始于",
    "label.seen": "观测",
    "label.did": "已处理",
    "label.next": "下一步",
    "label.also": "相关",
    "label.note": "备注",
    "label.runbook": "处理手册",
    "label.dashboard": "仪表盘",
    "label.incident": "事件",
    "word.nothing_done": "尚未处理",
    "word.lasted": "持续 {duration}",
    "word.more": "另有 {count} 条",
    "word.replica": "副本 {name}",
    "word.digest": "共 {count} 条告警，{firing} 条未恢复",
    "word.firing": "未恢复",
    "note.late": "以上告警未能及时送达",
    "note.stands_in": "因 {name} 无法送达，改发至此",
    "note.test": "这是测试，一切正常",
    "note.memory": "日志库无法写入，告警仅保存在内存中",
    "unit.d": "{n} 天",
    "unit.h": "{n} 小时",
    "unit.min": "{n} 分",
    "unit.s": "{n} 秒",
    "title.ReplicaDead": "副本进程退出",
    "next.ReplicaDead": "重启成功则无需处理；若再次出现，请查看日志末尾。",
    "title.ReplicaHung": "副本卡死",
    "next.ReplicaHung": "查看终止前保存的现场；检查该 GPU 是否有 XID 错误。",
    "title.ReplicaWrong": "副本打分错误",
    "next.ReplicaWrong": "保持下线；核对模型文件与版本。",
    "title.ReplicaCrashLoop": "副本反复崩溃",
    "next.ReplicaCrashLoop": "查看日志中最早的错误；已暂停自动重启。",
    "title.ReplicaStartFailed": "副本无法启动",
    "next.ReplicaStartFailed": "运行 `rankguard doctor`；上面的原因说明缺少什么。",
    "title.ReplicaDegraded": "副本变慢或部分失败",
    "next.ReplicaDegraded": "与其他副本比较延迟；检查负载与时钟频率。",
    "title.ReplicaLeaking": "副本内存持续增长",
    "next.ReplicaLeaking": "安排重启：`rankguard replica restart`。",
    "title.GpuLost": "GPU 掉卡",
    "next.GpuLost": "主机需要重启，必要时重新插拔；在此之前请隔离该 GPU。",
    "title.GpuResetRequired": "GPU 需要复位",
    "next.GpuResetRequired": "先释放该卡，再复位：`nvidia-smi --gpu-reset -i …`。",
    "title.GpuXid": "GPU 报告 XID 错误",
    "next.GpuXid": "按处理手册查询 XID 编号，由编号决定处理方式。",
    "title.GpuEcc": "GPU 显存错误（ECC）",
    "next.GpuEcc": "不可纠正：排空并复位。可纠正但增长：计划更换。",
    "title.GpuRowRemapFailed": "GPU 行重映射失败",
    "next.GpuRowRemapFailed": "备用行已耗尽，请更换该卡。",
    "title.GpuThermal": "GPU 过热",
    "next.GpuThermal": "检查风扇、风道与机房温度。",
    "title.GpuMemoryHeldByStranger": "GPU 显存被其他进程占用",
    "next.GpuMemoryHeldByStranger": "用 `nvidia-smi` 找到该进程；结束它或迁移副本。",
    "title.HostStarved": "主机 CPU 或内存不足",
    "next.HostStarved": "查找主机上的其他负载；副本是受害者而不是原因。",
    "title.HostDiskFull": "主机磁盘已满",
    "next.HostDiskFull": "清理空间：优先清理旧日志和模型缓存。",
    "title.StateDiskFull": "状态目录无法写入",
    "next.StateDiskFull": "请释放空间或恢复可写挂载；新启动的副本在此之前不会接收请求。",
    "title.HostOomKill": "主机内核因内存不足终止了进程",
    "next.HostOomKill": "查找内存增长的进程；降低副本内存或迁走其他负载。",
    "title.PoisonRequest": "导致引擎退出的请求已被拒绝",
    "next.PoisonRequest": "网关日志中有该请求的编号；请检查其文本。",
    "title.DriverUnavailable": "NVIDIA 驱动不可用",
    "next.DriverUnavailable": "运行 `nvidia-smi`；升级驱动后需要重启主机。",
    "title.WatchdogConfigInvalid": "看门狗新配置无效",
    "next.WatchdogConfigInvalid": "运行 `rankguard config check`；目前仍使用旧配置。",
    "title.RolloutFailed": "滚动重启失败",
    "next.RolloutFailed": "运行 `rankguard upgrade --status`，查看当前在用的版本。",
    "title.AlertDeliveryFailing": "告警无法送达",
    "next.AlertDeliveryFailing": "运行 `rankguard alerts outbox` 和 `rankguard alerts test`。",
    "title.Watchdog": "看门狗存活",
    "next.Watchdog": "无需处理：此告警一直触发，停止时才需要关注。",
    "title.Flapping": "告警反复抖动",
    "next.Flapping": "查明反复变化的原因；稳定之前不再逐条通知。",
}

LANGUAGES: Mapping[str, Phrases] = {"en": ENGLISH, "zh": CHINESE}

MAX_PHRASE = 500


def phrases_of(language: str, overrides: Mapping[str, str]) -> Phrases:
    """The phrases of a language with the operator's own on top."""
    return {**LANGUAGES[language], **overrides}


def check_overrides(overrides: Mapping[str, str]) -> None:
    """Refuse a phrase that does not exist or that cannot be filled in.

    Raises:
        ValueError: names the phrase, and the nearest one that exists.
    """
    for key, text in overrides.items():
        if key not in ENGLISH:
            near = difflib.get_close_matches(key, ENGLISH, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"words: there is no phrase {key!r}{hint}")
        if len(text) > MAX_PHRASE:
            raise ValueError(f"words: {key} is longer than {MAX_PHRASE} characters")
        if key.startswith(("word.", "unit.", "note.")):
            _check_fields(key, text)


def _check_fields(key: str, text: str) -> None:
    fields = {"duration": "", "count": 0, "firing": 0, "name": "", "n": 0}
    try:
        text.format(**fields)
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ValueError(f"words: {key} cannot be filled in: {error}") from error
