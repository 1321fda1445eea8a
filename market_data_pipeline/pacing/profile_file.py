"""Pacing rules of a user, as one YAML file.

    name: my account
    large_bars:            # bars from `large_from_s` on, counted by themselves; without it every request counts alike
      requests: 300
    large_from_s: 60

Every key is optional and means what `PacingProfile` and `PacingRules` say; times are seconds; what is left out is as in `strict`.
`scale: 0.01` makes all times a hundredth, for a gateway simulator whose limits are scaled alike.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from market_data_pipeline.configuration import Section, read_yaml
from market_data_pipeline.domain.errors import ConfigurationError
from market_data_pipeline.domain.pacing import PROFILES, STRICT, PacingProfile, PacingRules

type Count = Annotated[int, Field(gt=0)]
type Seconds = Annotated[float, Field(gt=0, le=86_400)]


class RulesSection(Section):
    """Rules of one class of bars: the fields of `PacingRules`."""

    requests: Count = STRICT.small.requests
    window_s: Seconds = STRICT.small.window_s
    same_contract: Count = STRICT.small.same_contract
    same_contract_s: Seconds = STRICT.small.same_contract_s
    identical_s: Seconds = STRICT.small.identical_s

    def rules(self) -> PacingRules:
        """Return the rules."""
        return PacingRules(**self.model_dump())


class ProfileSection(Section):
    """The whole file: the fields of `PacingProfile`, with `small_bars` and `large_bars` for its two classes."""

    name: str | None = None
    small_bars: RulesSection = RulesSection()
    large_bars: RulesSection | None = None
    large_from_s: Count = STRICT.large_from_s
    open: Annotated[int, Field(gt=0, le=50)] = STRICT.open
    messages: Annotated[int, Field(gt=0, le=50)] = STRICT.messages
    messages_s: Seconds = STRICT.messages_s
    matching_s: Seconds = STRICT.matching_s
    refusal_s: Seconds = STRICT.refusal_s
    delay_s: Seconds = STRICT.delay_s
    delay_share: Annotated[float, Field(ge=0, le=0.5)] = STRICT.delay_share
    longest_open_s: Seconds = STRICT.longest_open_s
    scale: Annotated[float, Field(gt=0, le=1)] = 1.0

    def profile(self, name: str) -> PacingProfile:
        """Return the profile; `name` is used where the file gives none."""
        plain = self.model_dump(exclude={"name", "small_bars", "large_bars", "scale"})
        large = self.large_bars.rules() if self.large_bars else None
        profile = PacingProfile(name=self.name or name, small=self.small_bars.rules(), large=large, **plain)
        return profile if self.scale == 1 else profile.scaled(self.scale)


def read_profile(text: str) -> PacingProfile:
    """Return the pacing rules that `IB_PACING` names: `strict`, `relaxed`, or a YAML file.

    Raises:
        ConfigurationError: If there is no such file, or it is wrong; with file, line and key.
    """
    if text in PROFILES:
        return PROFILES[text]
    file = Path(text).expanduser()
    if not file.suffix and not file.exists():
        raise ConfigurationError(f"IB_PACING: {text!r} is not known. Write {', '.join(PROFILES)}, or name a YAML file.")
    return read_yaml(file, ProfileSection).profile(file.stem)
