use serde::{Deserialize, Deserializer, Serialize};

use super::contact::normalised;
use crate::{Described, Invalid, Pointer, Shape};

/// The codes of ISO 3166-1 in the order of their letters: of each country the alpha-2 and the alpha-3 code together.
/// `XK`, which ISO 3166-1 leaves to its users, stands for Kosovo, as in the European Union.
const COUNTRIES: &str = "\
    ADAND AEARE AFAFG AGATG AIAIA ALALB AMARM AOAGO AQATA ARARG ASASM ATAUT AUAUS AWABW AXALA AZAZE BABIH BBBRB \
    BDBGD BEBEL BFBFA BGBGR BHBHR BIBDI BJBEN BLBLM BMBMU BNBRN BOBOL BQBES BRBRA BSBHS BTBTN BVBVT BWBWA BYBLR \
    BZBLZ CACAN CCCCK CDCOD CFCAF CGCOG CHCHE CICIV CKCOK CLCHL CMCMR CNCHN COCOL CRCRI CUCUB CVCPV CWCUW CXCXR \
    CYCYP CZCZE DEDEU DJDJI DKDNK DMDMA DODOM DZDZA ECECU EEEST EGEGY EHESH ERERI ESESP ETETH FIFIN FJFJI FKFLK \
    FMFSM FOFRO FRFRA GAGAB GBGBR GDGRD GEGEO GFGUF GGGGY GHGHA GIGIB GLGRL GMGMB GNGIN GPGLP GQGNQ GRGRC GSSGS \
    GTGTM GUGUM GWGNB GYGUY HKHKG HMHMD HNHND HRHRV HTHTI HUHUN IDIDN IEIRL ILISR IMIMN ININD IOIOT IQIRQ IRIRN \
    ISISL ITITA JEJEY JMJAM JOJOR JPJPN KEKEN KGKGZ KHKHM KIKIR KMCOM KNKNA KPPRK KRKOR KWKWT KYCYM KZKAZ LALAO \
    LBLBN LCLCA LILIE LKLKA LRLBR LSLSO LTLTU LULUX LVLVA LYLBY MAMAR MCMCO MDMDA MEMNE MFMAF MGMDG MHMHL MKMKD \
    MLMLI MMMMR MNMNG MOMAC MPMNP MQMTQ MRMRT MSMSR MTMLT MUMUS MVMDV MWMWI MXMEX MYMYS MZMOZ NANAM NCNCL NENER \
    NFNFK NGNGA NINIC NLNLD NONOR NPNPL NRNRU NUNIU NZNZL OMOMN PAPAN PEPER PFPYF PGPNG PHPHL PKPAK PLPOL PMSPM \
    PNPCN PRPRI PSPSE PTPRT PWPLW PYPRY QAQAT REREU ROROU RSSRB RURUS RWRWA SASAU SBSLB SCSYC SDSDN SESWE SGSGP \
    SHSHN SISVN SJSJM SKSVK SLSLE SMSMR SNSEN SOSOM SRSUR SSSSD STSTP SVSLV SXSXM SYSYR SZSWZ TCTCA TDTCD TFATF \
    TGTGO THTHA TJTJK TKTKL TLTLS TMTKM TNTUN TOTON TRTUR TTTTO TVTUV TWTWN TZTZA UAUKR UGUGA UMUMI USUSA UYURY \
    UZUZB VAVAT VCVCT VEVEN VGVGB VIVIR VNVNM VUVUT WFWLF WSWSM XKXKX YEYEM YTMYT ZAZAF ZMZMB ZWZWE";

/// A country by its alpha-2 code (ISO 3166-1), such as `US`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Country(String);

impl Country {
    /// Reads the alpha-2 or alpha-3 code of a country, in upper or lower case.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let code = text.trim().to_ascii_uppercase();
        let is_it = |country: &&str| [country.get(..2), country.get(2..)].contains(&Some(code.as_str()));
        let country = COUNTRIES.split_whitespace().find(is_it);
        let alpha_2 = country.and_then(|it| it.get(..2));
        alpha_2.map(|it| Self(it.to_owned())).ok_or("give the code of a country that exists (ISO 3166-1), such as US")
    }

    /// The alpha-2 code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

normalised!(Country, 3, "");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_is_read_by_either_code() {
        for given in ["US", "us", "USA", " usa "] {
            assert_eq!(Country::parse(given).unwrap().as_str(), "US", "{given}");
        }
        assert_eq!(Country::parse("DEU").unwrap().as_str(), "DE");
    }

    #[test]
    fn a_country_that_does_not_exist_is_refused() {
        for given in ["", "XX", "ZZ", "UK", "XYZ", "U", "United States", "USUSA", "ADA"] {
            assert!(Country::parse(given).is_err(), "{given}");
        }
    }

    #[test]
    fn every_entry_of_the_list_has_both_codes() {
        assert_eq!(COUNTRIES.split_whitespace().count(), 250);
        assert!(
            COUNTRIES
                .split_whitespace()
                .all(|codes| codes.len() == 5 && codes.bytes().all(|it| it.is_ascii_uppercase()))
        );
    }
}
